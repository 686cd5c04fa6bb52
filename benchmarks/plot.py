"""The plot of the results, as an SVG file: processor time of a request, a panel for each size of picture."""

from collections.abc import Iterator
from html import escape

from arms import ARMS
from pictures import SIZES, Size
from results import Cell, Results, Spread, cells

_COLOURS = {"echo": "#9aa5b1", "plain": "#e0a458", "service": "#2f6f9f"}
_LEFT, _RIGHT, _WIDTH = 120, 90, 860
_BAR, _GAP, _TITLE = 13, 12, 34


def svg(results: Results, caption: str) -> str:
    """Draw a bar for each arm in each cell: the median, with a line from the least to the most."""
    parts = list(_legend(caption))
    top = 78
    for size in SIZES:
        drawn, height = _panel(results, size, top)
        parts += drawn
        top += height
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" '
        'font-family="sans-serif" font-size="12" fill="#222">'
    )
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>', *parts, "</svg>", ""])


def _legend(caption: str) -> Iterator[str]:
    yield '<text x="12" y="24" font-size="16">Processor time of one request, milliseconds (less is better)</text>'
    yield f'<text x="12" y="42" fill="#666">{escape(caption)}</text>'
    at = 12
    for arm in ARMS:
        yield f'<rect x="{at}" y="54" width="12" height="12" fill="{_COLOURS[arm.name]}"/>'
        label = f"({arm.letter}) {arm.title}"
        yield f'<text x="{at + 17}" y="64">{label}</text>'
        at += 40 + 7 * len(label)


def _panel(results: Results, size: Size, top: int) -> tuple[list[str], int]:
    own = [cell for cell in cells(results) if cell.size == size]
    spreads = {(cell, arm): cell.cpu(results, arm.name) for cell in own for arm in ARMS}
    scale = (_WIDTH - _LEFT - _RIGHT) / max(one.most for one in spreads.values())
    parts = [f'<text x="12" y="{top + 20}" font-size="14" font-weight="bold">{size.title}</text>']
    y = top + _TITLE
    for cell in own:
        parts.append(_name(cell, y))
        for arm in ARMS:
            parts += _bar(spreads[cell, arm], _COLOURS[arm.name], y, scale)
            y += _BAR
        y += _GAP
    return parts, y - top


def _name(cell: Cell, y: int) -> str:
    return f'<text x="{_LEFT - 8}" y="{y + _BAR * 2 - 3}" text-anchor="end">{cell.form}, c = {cell.concurrency}</text>'


def _bar(spread: Spread, colour: str, y: int, scale: float) -> Iterator[str]:
    middle = y + _BAR / 2 - 0.5
    yield f'<rect x="{_LEFT}" y="{y}" width="{spread.median * scale:.1f}" height="{_BAR - 1}" fill="{colour}"/>'
    least, most = _LEFT + spread.least * scale, _LEFT + spread.most * scale
    yield f'<path d="M{least:.1f} {middle}H{most:.1f}" stroke="#222"/>'
    yield f'<text x="{most + 6:.1f}" y="{y + _BAR - 2.5}" font-size="11">{spread.median:.2f}</text>'

"""Pieces of GitHub-flavoured Markdown."""

import re
from collections.abc import Callable, Iterable, Sequence

FIRST_LINE = (
    "_Made by `make gen` from the comments in [proto/imagegen/v1](../proto/imagegen/v1); change those, not this page._"
)

_CODE = re.compile(r"(`[^`]+`)")
_NAME = re.compile(r"(?<![\w./\"-])[A-Z][A-Za-z]+(?:\.[a-z][a-z0-9_]*)?(?![\w\"-])")


def reflow(text: str) -> list[str]:
    """Join the lines of a comment; a blank line begins a paragraph."""
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip())]


def prose(text: str, link: Callable[[str], str] = lambda _: "") -> str:
    """Write plain text as Markdown. `link` gives the address of a name in it; "" = none."""

    def name(match: re.Match[str]) -> str:
        address = link(match[0])
        return f"[{match[0]}]({address})" if address else match[0]

    def plain(part: str) -> str:
        part = re.sub(r"([\\*\[\]~])", r"\\\1", part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
        return _NAME.sub(name, part)

    return "".join(part if part.startswith("`") else plain(part) for part in _CODE.split(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]

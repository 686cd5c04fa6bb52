"""What the command draws in a terminal."""

from __future__ import annotations

import io

import click
from imagegen import (
    Complete,
    Cost,
    Failed,
    GeneratedImage,
    Image,
    ImageFailure,
    ImageResult,
    ImageUsage,
    ImageWarning,
    Preview,
    Progress,
    Reason,
    Started,
)
from imagegen.cli._draw import draw
from imagegen.cli._report import LiveReport
from PIL import Image as Pillow
from rich.console import Console


def png(width: int = 64, height: int = 48) -> bytes:
    """A real image."""
    file = io.BytesIO()
    Pillow.new("RGB", (width, height), "teal").save(file, "PNG")
    return file.getvalue()


def test_pictures_fit_the_terminal() -> None:
    """A picture keeps its shape and leaves room; what is no picture is not drawn."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    drawn = draw(png(200, 100), columns=80, lines=24)

    assert drawn is not None
    lines = console.render_lines(drawn, pad=False)
    assert max(sum(segment.cell_length for segment in line) for line in lines) == 72
    assert len(lines) <= 20
    assert draw(b"no picture", columns=80, lines=24) is None
    assert draw(png()[:60], columns=80, lines=24) is None


def test_live_report_moves_a_bar_and_shows_pictures() -> None:
    """In a terminal there is a bar, previews are drawn, and what stays to be read is written."""
    text = io.StringIO()
    report = LiveReport(Console(file=text, force_terminal=True, color_system="truecolor", width=80), show=True)
    image = Image.from_bytes(png(), media_type="image/png")
    made = GeneratedImage(data=png(), media_type="image/png", size_bytes=10, width=64, height=48)
    odd = ImageWarning(field="options.seed", reason="IGNORED", message="not known here")
    cost = ImageUsage(cost=Cost(amount=0.25, currency="USD", estimated=True))
    why = ImageFailure(index=1, reason=Reason.CONTENT_FILTERED, message="refused", billed="no")

    report.event(Started(generation_id="g", request_id="r", model="m/x", warnings=(odd,)), None)
    report.event(
        Progress(phase="generating", fraction=0.5, index=0, step=1, steps=4, queue_position=2, remaining=3.0), None
    )
    report.event(Progress(phase="queued", message="soon"), None)
    report.event(Preview(index=0, number=1, image=image), None)
    report.event(Complete(image=made), "out.png")
    report.event(Failed(failure=why), None)
    report.result(
        ImageResult(generation_id="g", request_id="r", model="m/x", images=(made,), warnings=(odd,), usage=cost)
    )
    report.close()

    written = click.unstyle(text.getvalue())
    assert text.getvalue().count("\N{LOWER HALF BLOCK}") + text.getvalue().count("\N{UPPER HALF BLOCK}") > 100
    assert "warning: options.seed: not known here" in written
    assert "image 1 saved as out.png (image/png, 64x48, 10 bytes)" in written
    assert "image 2 failed: CONTENT_FILTERED: refused" in written
    assert "cost: 0.25 USD (estimated)" in written

"""Previews: ever nearer to the picture."""

import numpy as np
import pytest
from imagegen_server.domain.events import Complete, Preview
from imagegen_server.domain.task import PixelSize
from imagegen_server.images.facts import read_facts
from PIL import Image

from tests.unit.providers.sandbox.kit import Seen, file, pixels, run, task


def _errors(seen: Seen) -> list[float]:
    """The mean squared error of each preview against the finished picture."""
    final = pixels(seen.image).astype(np.float64)
    return [float(((pixels(preview.data) - final) ** 2).mean()) for preview in seen.of(Preview)]


@pytest.mark.parametrize("prompt", ["a harbour at dawn", "city at night in the rain", "autumn forest", "zorble"])
@pytest.mark.parametrize("size", [PixelSize(256, 144), PixelSize(90, 160)])
async def test_every_preview_is_nearer_to_the_picture(prompt: str, size: PixelSize) -> None:
    """The error falls strictly, over as many previews as there can be."""
    errors = _errors(await run(task(prompt=prompt, size=size, preview_count=8)))

    assert len(errors) == 8
    assert sorted(set(errors), reverse=True) == errors


@pytest.mark.parametrize("file_format", ["jpeg", "webp"])
async def test_it_holds_in_lossy_formats(file_format: str) -> None:
    """Compression does not turn the order round."""
    errors = _errors(await run(task(size=PixelSize(256, 144), preview_count=4, format=file_format)))

    assert sorted(set(errors), reverse=True) == errors


@pytest.mark.parametrize("masked", [False, True])
async def test_it_holds_for_edits(masked: bool) -> None:
    """With a mask and without."""
    image = file(Image.effect_noise((160, 120), 40).convert("RGB"))
    mask = Image.new("L", (160, 120), 0)
    mask.paste(255, (20, 20, 140, 100))
    errors = _errors(await run(task(images=(image,), mask=file(mask) if masked else None, preview_count=4)))

    assert sorted(set(errors), reverse=True) == errors


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
async def test_a_preview_has_type_and_size_of_the_picture(file_format: str) -> None:
    """A client can put it in the same place."""
    seen = await run(task(preview_count=3, format=file_format, background=None))

    assert len(seen.of(Preview)) == 3
    assert {read_facts(seen.image)} == {read_facts(preview.data) for preview in seen.of(Preview)}


async def test_previews_come_before_their_picture() -> None:
    """Picture after picture, in order, and the last word is the report."""
    seen = await run(task(count=2, preview_count=2))

    assert seen.kinds == ["preview 0", "preview 0", "complete 0", "preview 1", "preview 1", "complete 1"]
    assert seen.events[-1] is seen.report


async def test_previews_do_not_change_the_picture() -> None:
    """Asking for them is free of side effects."""
    assert (await run(task())).of(Complete) == (await run(task(preview_count=3))).of(Complete)


async def test_progress_tells_steps_and_never_falls() -> None:
    """Fractions rise from 0, steps count the previews and the picture."""
    seen = await run(task(preview_count=3))

    assert seen.fractions == [0, 0.25, 0.5, 0.75]

"""From options to an order: sizes, formats, limits."""

from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import PixelSize
from imagegen_server.providers.sandbox.order import next_seed, seed_of

from tests.unit.providers.sandbox.kit import run, sandbox, task


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"size": None}, (1024, 1024)),
        ({"resolution": "2K"}, (2048, 2048)),
        ({"resolution": "4K"}, (4096, 4096)),
        ({"aspect_ratio": "16:9"}, (1360, 768)),
        ({"aspect_ratio": "9:16"}, (768, 1360)),
        ({"aspect_ratio": "1:1", "resolution": "1K"}, (1024, 1024)),
        ({"aspect_ratio": "21:9", "resolution": "4K"}, (6256, 2672)),
        ({"size": PixelSize(8192, 16)}, (8192, 16)),
    ],
)
def test_sizes_are_decided(options: dict[str, Any], expected: tuple[int, int]) -> None:
    """From size, or from ratio and resolution; never more pixels than the resolution stands for."""
    prepared, warnings = sandbox().prepare(task(**options))

    assert PixelSize(*expected) == prepared.options.size
    assert (prepared.options.aspect_ratio, prepared.options.resolution, warnings) == (None, None, [])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"size": PixelSize(15, 100)}, "options.size"),
        ({"size": PixelSize(8193, 100)}, "options.size"),
        ({"size": PixelSize(8192, 4096)}, "options.size"),
        ({"aspect_ratio": "wide"}, "options.aspect_ratio"),
        ({"aspect_ratio": "16:0"}, "options.aspect_ratio"),
        ({"aspect_ratio": "99999:1"}, "options.aspect_ratio"),
        ({"aspect_ratio": "9000:1"}, "options.aspect_ratio"),
        ({"background": "transparent", "format": "jpeg"}, "options.background"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, Any], field: str) -> None:
    """With the field that is wrong."""
    with pytest.raises(ImageError) as caught:
        sandbox().prepare(task(**options))

    assert Reason.INVALID_REQUEST is caught.value.reason
    assert [field] == [violation.field for violation in caught.value.violations]


def test_the_operator_sets_the_limits() -> None:
    """A smaller sandbox refuses what a larger one draws."""
    provider = sandbox(max_pixels=10_000, max_side=200)

    provider.prepare(task(size=PixelSize(100, 100)))
    for size in (PixelSize(101, 100), PixelSize(201, 16)):
        with pytest.raises(ImageError, match="cannot draw"):
            provider.prepare(task(size=size))


def test_compression_of_a_png_is_told_to_be_in_vain() -> None:
    """Not passed over in silence."""
    _, warnings = sandbox().prepare(task(compression=50))

    assert [(note.field, note.reason) for note in warnings] == [("options.compression", WarningReason.IGNORED)]


def test_the_seed_is_decided_once() -> None:
    """A generation that is split into several requests goes on from it."""
    prepared, _ = sandbox().prepare(task(prompt="a boat"))

    assert seed_of("a boat") == prepared.options.seed


def test_preparing_twice_changes_nothing() -> None:
    """What is decided stays decided."""
    provider = sandbox()
    once, _ = provider.prepare(task(aspect_ratio="16:9", resolution="1K"))

    assert (once, []) == provider.prepare(once)


async def test_a_size_may_be_too_small_for_anything_but_one_form() -> None:
    """The smallest size is drawn."""
    assert (await run(task(size=PixelSize(16, 16)))).image


def test_seeds_go_round() -> None:
    """All stay within int64."""
    assert next_seed(2**63 - 1, 1) == -(2**63)
    assert next_seed(2, 3) == 5

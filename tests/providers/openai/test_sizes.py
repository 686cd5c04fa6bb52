"""Pixels of a ratio and a resolution: within the vendor's rules, and near what was wished for."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from imagegen_server.domain.task import PixelSize
from imagegen_server.providers.openai.sizes import LEAST_PIXELS, STEP, read_ratio, size_of, why_refused

RESOLUTIONS = {"1K": 1024**2, "2K": 2048**2, "4K": 3840 * 2160}
NEAR = 1.3 + 1e-9
"""As a factor of pixels."""

_RATIOS = st.tuples(st.integers(1, 9999), st.integers(1, 9999)).filter(lambda r: max(r) <= 3 * min(r))
_NAMED = st.sampled_from([(1, 1), (3, 2), (4, 3), (5, 4), (16, 9), (16, 10), (21, 9), (2, 1), (3, 1), (239, 100)])
_EVERY_RATIO = _RATIOS | _NAMED | _NAMED.map(lambda ratio: (ratio[1], ratio[0]))


def reduced(ratio: tuple[int, int]) -> tuple[int, int]:
    """Read a ratio as the adapter does."""
    read = read_ratio(f"{ratio[0]}:{ratio[1]}")
    assert read is not None
    return read


def wanted(ratio: tuple[int, int], resolution: str) -> float:
    """Say how many pixels are wished for: those of the resolution, or all that the longest side allows."""
    return min(RESOLUTIONS[resolution], 3840**2 * min(ratio) / max(ratio))


@given(ratio=_EVERY_RATIO, resolution=st.sampled_from(sorted(RESOLUTIONS)))
@example(ratio=(299, 100), resolution="1K")
@example(ratio=(299, 100), resolution="4K")
@example(ratio=(100, 299), resolution="2K")
@example(ratio=(3, 1), resolution="4K")
@example(ratio=(9999, 3333), resolution="1K")
@example(ratio=(9998, 9999), resolution="4K")
def test_every_wish_becomes_a_size_that_the_vendor_takes(ratio: tuple[int, int], resolution: str) -> None:
    """Multiples of 16, 1:3 to 3:1, at most 3840 a side and 3840x2160 pixels in all, at least 655,360."""
    size = size_of(reduced(ratio), resolution)
    longer, shorter = max(size.width, size.height), min(size.width, size.height)

    assert size.width % 16 == size.height % 16 == 0
    assert longer <= 3 * shorter
    assert longer <= 3840
    assert 655_360 <= longer * shorter <= 3840 * 2160


@given(ratio=_EVERY_RATIO, resolution=st.sampled_from(sorted(RESOLUTIONS)))
@example(ratio=(299, 100), resolution="1K")
@example(ratio=(3, 1), resolution="4K")
@example(ratio=(2517, 2500), resolution="1K")
def test_a_size_is_near_the_wish(ratio: tuple[int, int], resolution: str) -> None:
    """Pixels near those of the resolution, a ratio within half a step of 16 in 1000, lying or standing as asked."""
    width, height = reduced(ratio)

    size = size_of((width, height), resolution)

    assert 1 / NEAR <= size.width * size.height / wanted(ratio, resolution) <= NEAR
    assert abs(math.log(size.width / size.height * height / width)) < 0.008
    assert (size.width >= size.height) == (width >= height) or size.width == size.height


@given(ratio=st.tuples(st.integers(1, 60), st.integers(1, 60)).filter(lambda r: max(r) <= 3 * min(r)))
@example(ratio=(16, 9))
@example(ratio=(3, 1))
@pytest.mark.parametrize("resolution", sorted(RESOLUTIONS))
def test_a_ratio_is_exact_where_it_can_be(resolution: str, ratio: tuple[int, int]) -> None:
    """If any size near the pixels wished for has the very ratio, the nearest of these is chosen."""
    width, height = reduced(ratio)
    pixels = wanted(ratio, resolution)
    exact = [
        PixelSize(STEP * width * factor, STEP * height * factor)
        for factor in range(1, 3840 // (STEP * max(width, height)) + 1)
    ]
    near = [
        size
        for size in exact
        if not why_refused(size)
        and size.width * size.height >= LEAST_PIXELS
        and 1 / 1.3 < size.width * size.height / pixels < 1.3
    ]

    size = size_of((width, height), resolution)

    if near:
        assert size == min(near, key=lambda exact: abs(math.log(exact.width * exact.height / pixels)))


@given(ratio=_EVERY_RATIO, resolution=st.sampled_from(sorted(RESOLUTIONS)))
def test_a_ratio_on_its_side_is_the_size_on_its_side(ratio: tuple[int, int], resolution: str) -> None:
    """Width and height change places."""
    width, height = reduced(ratio)
    lying, standing = size_of((width, height), resolution), size_of((height, width), resolution)

    assert (lying.width, lying.height) == (standing.height, standing.width)


@pytest.mark.parametrize(
    ("ratio", "resolution", "size"),
    [
        ("1:1", "1K", "1024x1024"),
        ("1:1", "2K", "2048x2048"),
        ("1:1", "4K", "2880x2880"),
        ("16:9", "1K", "1280x720"),
        ("16:9", "4K", "3840x2160"),
        ("9:16", "4K", "2160x3840"),
        ("3:2", "1K", "1248x832"),
        ("3:1", "4K", "3840x1280"),
        ("1:3", "1K", "592x1776"),
    ],
)
def test_the_usual_wishes(ratio: str, resolution: str, size: str) -> None:
    """What the page of the provider promises."""
    read = read_ratio(ratio)

    assert read is not None
    assert str(size_of(read, resolution)) == size


@pytest.mark.parametrize(
    "text",
    ["", "1", "1:", ":1", "0:1", "1:0", "01:1", "-1:1", "1.5:1", "16/9", "16x9", "3001:1000", "1:4", "10000:9999"],
)
def test_what_is_no_ratio_is_none(text: str) -> None:
    """Neither other writings nor what is steeper than the vendor draws."""
    assert read_ratio(text) is None


@pytest.mark.parametrize(
    ("width", "height", "word"),
    [
        (1000, 1024, "16"),
        (1024, 1000, "16"),
        (3072, 1008, "3 times"),
        (3856, 2048, "3840"),
        (2896, 2896, "8,294,400"),
        (1024, 1024, ""),
        (3840, 2160, ""),
        (2160, 3840, ""),
        (3072, 1024, ""),
        (16, 16, ""),
    ],
)
def test_a_rule_that_a_size_breaks_is_named(width: int, height: int, word: str) -> None:
    """Only documented rules count: the smallest size is not one of them, so the vendor decides about that."""
    told = why_refused(PixelSize(width, height))

    assert word in told
    assert bool(told) is bool(word)

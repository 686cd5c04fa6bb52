"""The size that a ratio and a resolution mean."""

from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.providers.bfl.sizes import PIXELS_OF_RESOLUTION, Grid, read_ratio

GRIDS = [Grid(16, 64, most_pixels=2048 * 2048), Grid(32, 256, 1440), Grid(1, 64)]
_SIDES = st.integers(1, 80)


@given(
    grid=st.sampled_from(GRIDS),
    ratio=st.tuples(_SIDES, _SIDES).filter(lambda ratio: max(ratio) <= 4 * min(ratio)),
    resolution=st.sampled_from(sorted(PIXELS_OF_RESOLUTION)),
)
def test_a_size_that_is_chosen_is_one_that_the_model_draws(grid: Grid, ratio: tuple[int, int], resolution: str) -> None:
    """Of no more pixels than the resolution, no side beyond 2048, and a ratio as near as its step allows."""
    size = grid.size_of(ratio, PIXELS_OF_RESOLUTION[resolution])
    longer, shorter = max(size.width, size.height), min(size.width, size.height)
    steepness = max(ratio) / min(ratio)

    assert grid.why_refused(size) == ""
    assert longer <= 2048
    assert longer * shorter <= PIXELS_OF_RESOLUTION[resolution]
    assert abs(longer / steepness - shorter) <= 1.5 * grid.step
    assert (size.width >= size.height) or ratio[0] < ratio[1]


def test_a_ratio_is_two_numbers() -> None:
    """Nothing else, and nothing steeper than any picture here."""
    assert read_ratio("16:9") == (16, 9)
    assert read_ratio("8:1") == (8, 1)
    wrongs = ["", "auto", "1:0", "16x9", "9:1", "1:9", "1.5:1", "٣:٢", "12345:1", " 1:1"]
    assert [read_ratio(text) for text in wrongs] == [None] * len(wrongs)

"""More images than one provider request makes: requests, indices and seeds."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.generation import able, as_entry, drawing, planner

INT64 = range(-(2**63), 2**63)


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (1, 4, [(0, 1)]),
        (4, 4, [(0, 4)]),
        (5, 4, [(0, 4), (4, 1)]),
        (8, 4, [(0, 4), (4, 4)]),
        (3, 1, [(0, 1), (1, 1), (2, 1)]),
        (2, None, [(0, 1), (1, 1)]),
    ],
)
async def test_requests_cover_all_images(count: int, most: int | None, expected: list[tuple[int, int]]) -> None:
    """As few requests as the model allows, one image each where its limit is unknown."""
    planned = (await planner(as_entry(able(max_images=most))).plan(drawing(count=count))).first

    assert [(first, task.count) for first, task in planned.batches] == expected
    assert planned.task.count == count


@given(st.integers(1, 16), st.integers(1, 5), st.integers(INT64.start, INT64.stop - 1))
@example(16, 1, 2**63 - 1)
@example(16, 1, -(2**63))
@example(2, 1, 2**63 - 2)
async def test_seeds_move_along_with_the_index(count: int, most: int, seed: int) -> None:
    """Every request has another seed, all of them int64, the first one as given."""
    planned = (await planner(as_entry(able(max_images=most, max_count=16))).plan(drawing(count=count, seed=seed))).first

    seeds = [task.options.seed for _, task in planned.batches]
    assert seeds[0] == seed
    assert len(set(seeds)) == len(seeds)
    for (first, _), moved in zip(planned.batches, seeds, strict=True):
        assert moved in INT64
        assert moved is not None
        assert (moved - seed - first) % 2**64 == 0


async def test_no_seed_stays_no_seed() -> None:
    """The provider chooses for each request."""
    planned = (await planner(as_entry(able(max_images=1))).plan(drawing(count=2))).first

    assert [task.options.seed for _, task in planned.batches] == [None, None]


async def test_requests_differ_in_nothing_else() -> None:
    """Prompt, options and params are those of the whole task in each request."""
    made = planner(as_entry(able(max_images=1)))

    planned = (await made.plan(drawing(count=2, quality="high", params={"test": {"style": 1}}))).first

    for _, task in planned.batches:
        assert (task.prompt, task.options.quality, task.params) == ("a boat", "high", {"style": 1})

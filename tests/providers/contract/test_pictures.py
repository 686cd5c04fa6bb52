"""What every adapter makes of a picture that came as it should."""

import asyncio
from dataclasses import replace

import pytest
from imagegen_server.domain.events import Complete, Failed, Finished, ImageFinished, Preview
from imagegen_server.domain.result import AttemptOutcome

from tests.support.pictures import png

from .bench import Accepted, bench_of
from .kit import SIDE, Kit, kit_name, kits
from .oddities import has_mark, marked, whole

KITS = pytest.mark.parametrize("kit", kits(), ids=kit_name)


@KITS
async def test_a_picture_is_handed_out_byte_for_byte(kit: Kit) -> None:
    """With a comment in the file that a second encoder would not keep; previews likewise."""
    async with bench_of(kit) as bench:
        for wish in kit.wishes():
            bench.changes = dict.fromkeys(range(99), marked)
            events = await bench.run(wish)
            finished = [event.data for event in events if isinstance(event, ImageFinished)]
            drawn = [event.data for event in bench.events if isinstance(event, Complete | Preview)]

            assert len(finished) == 1
            assert finished[0] in drawn
            assert all(map(has_mark, drawn))


@KITS
async def test_the_task_is_accepted_before_anything_is_shown(kit: Kit) -> None:
    """With the id that the vendor gave it, which the attempt then has."""
    async with bench_of(kit) as bench:
        for wish in kit.wishes():
            last = await bench.ended(wish)
            assert isinstance(last, Finished)
            (attempt,) = last.result.attempts
            shown = next(n for n, item in enumerate(bench.seen) if isinstance(item, Complete | Preview | Failed))
            said = " ".join(
                f"{dict(answer.headers)} {bench.fake.headers()} {whole(answer)!r}" for _, answer in bench.said
            )

            assert isinstance(bench.seen[0], Accepted)
            assert any(isinstance(item, Accepted) and item.request_id for item in bench.seen[:shown])
            assert attempt.outcome is AttemptOutcome.ACCEPTED
            assert attempt.provider_request_id == bench.accepted[-1]
            assert attempt.provider_request_id.rstrip("0123456789") in said


@KITS
async def test_every_picture_comes_once(kit: Kit) -> None:
    """Each index of a request has one end, nothing comes behind it, and previews come only where they are asked for."""
    async with bench_of(kit) as bench:
        for wish in kit.wishes():
            await bench.run(wish)
            ends = [event.index for event in bench.events if isinstance(event, Complete | Failed)]
            previews = [event.index for event in bench.events if isinstance(event, Preview)]

            assert ends == [0]
            assert set(previews) <= {0}
            assert bool(previews) == bool(wish.options.preview_count)
            assert bench.seen.index(next(e for e in bench.events if isinstance(e, Complete))) > (
                max((n for n, item in enumerate(bench.seen) if isinstance(item, Preview)), default=-1)
            )


@KITS
async def test_more_than_one_request_makes_are_asked_for_in_several(kit: Kit) -> None:
    """As many as are needed, side by side; the pictures are numbered through."""
    if not kit.draws:
        pytest.skip("no model that draws")
    async with bench_of(kit) as bench:
        one = await bench.task(kit.drawing())
        most = min(bench.entry.provider.images_per_request(one), 15)
        count = most + 1
        last = await bench.ended(kit.drawing(count=count))

    assert isinstance(last, Finished)
    assert [image.index for image in last.result.images] == list(range(count))
    assert len(last.result.attempts) == len(bench.orders) == -(-count // most)


@KITS
async def test_a_cost_is_the_vendors_or_absent(kit: Kit) -> None:
    """Nothing is worked out here, and what is unknown is never 0."""
    async with bench_of(kit) as bench:
        for wish in kit.wishes():
            last = await bench.ended(wish)
            assert isinstance(last, Finished)
            cost = last.result.usage.cost if last.result.usage else None

            assert bool(cost) == kit.tells_cost
            if cost is not None:
                assert cost.amount > 0
                assert not cost.estimated


@KITS
async def test_pictures_go_in_as_they_are_and_in_their_order(kit: Kit) -> None:
    """Their bytes stand in the request, plainly or as base64."""
    if not kit.edits:
        pytest.skip("no model that edits")
    async with bench_of(kit) as bench:
        most = bench.entry.provider.model(kit.edits).capabilities.max_input_images or 1
        images = [png(SIDE, SIDE, shade=shade) for shade in (10, 20, 30)[:most]]
        assert isinstance(await bench.ended(kit.editing(*images)), Finished)
        places = [bench.place_of(data) for data in images]

    assert -1 not in places
    assert places == sorted(places)


@KITS
async def test_generations_side_by_side_keep_apart(kit: Kit) -> None:
    """A provider is one object for all callers: each wish is sent once, with its own words, and has its picture."""
    async with bench_of(kit) as bench:
        wishes = [replace(wish, prompt=f"boat number {n}.") for n, wish in enumerate(kit.wishes() * 3)]
        results = await asyncio.gather(*(bench.workshop.result(wish) for wish in wishes))
        sent = [[wish.prompt for wish in wishes if wish.prompt.encode() in call.body] for call in bench.orders]

    assert [len(result.images) for result in results] == [1] * len(wishes)
    assert sorted(sent) == sorted([wish.prompt] for wish in wishes)

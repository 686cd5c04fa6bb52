"""Leaving reaches the vendor's socket, time runs out, and a key goes nowhere else."""

import asyncio

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.task import Wish

from tests.support.generation import events_of
from tests.support.http_server import PATIENCE, HttpServer
from tests.support.vendor import Answer, hanging_answer

from .bench import Bench, bench_of, instead, steps_of
from .kit import Kit, kit_name, kits

KITS = pytest.mark.parametrize("kit", kits(), ids=kit_name)


@KITS
@pytest.mark.parametrize("place", ["before its head", "in its body"])
async def test_leaving_closes_the_socket(kit: Kit, place: str) -> None:
    """At any request of a generation, while the vendor is silent; and the next generation works."""
    for wish in kit.wishes():
        for step in range(len(await steps_of(kit, wish))):
            async with bench_of(kit) as bench:
                never = asyncio.Event()
                hanging = Answer(before=never) if place == "before its head" else hanging_answer(never)
                bench.changes = {step: instead(hanging)}
                last = await left(bench, wish, hanging)
                bench.changes = {}
                if kit.calls_off and step:
                    async with asyncio.timeout(PATIENCE):
                        await bench.until_asked(*kit.calls_off.split())
                assert isinstance(await bench.ended(wish), Finished)

            assert isinstance(last, Broken)
            assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)


@KITS
async def test_a_generation_has_its_time(kit: Kit) -> None:
    """A vendor that is silent for longer than the provider's timeout: TIMEOUT, and the socket is closed."""
    for wish in kit.wishes():
        for step in (0, len(await steps_of(kit, wish)) - 1):
            error, hanging = await overdue(kit, wish, step, 0.2)
            if not hanging.begun.is_set():
                # This machine is slow today: it did not come so far.
                error, hanging = await overdue(kit, wish, step, 5.0)

            assert hanging.client_gone.is_set()
            assert (error.reason, error.billed) == (Reason.TIMEOUT, Billed.UNKNOWN)


@KITS
async def test_nobody_is_followed_with_the_key(kit: Kit) -> None:
    """A redirect at any request leads nowhere: neither key nor prompt is sent to another host."""
    async with HttpServer() as other:
        for wish in kit.wishes():
            async with bench_of(kit) as bench:
                await bench.ended(wish)
                for step in range(len(bench.said)):
                    for status in (301, 307):
                        bench.changes = {step: instead(Answer(status, {"location": f"{other.url}/stolen"}))}
                        await bench.ended(wish)

    assert other.requests == []


@KITS
async def test_a_key_goes_in_a_header_to_the_api_alone(kit: Kit) -> None:
    """It stands in no URL and no body, which end up in logs; and pictures are fetched without it."""
    async with bench_of(kit) as bench:
        for wish in kit.wishes():
            await bench.ended(wish)
            fetched = [url.partition(bench.fake.base_url.removesuffix(bench.fake.prefix))[2] for url in bench.fetched]
            for call, _ in bench.said:
                target = f"{call.path}?{call.query}" if call.query else call.path

                assert bench.key not in target
                assert bench.key.encode() not in call.body
                assert (bench.key in repr(call.headers)) != (target in fetched)


async def overdue(kit: Kit, wish: Wish, step: int, seconds: float) -> tuple[ImageError, Answer]:
    """Let a vendor be silent at one request, for longer than it has."""
    async with bench_of(kit, timeout=seconds) as bench:
        hanging = hanging_answer(asyncio.Event())
        bench.changes = {step: instead(hanging)}
        error = (await bench.broken(wish)).error
        if hanging.begun.is_set():
            async with asyncio.timeout(PATIENCE):
                await hanging.client_gone.wait()
        return error, hanging


async def left(bench: Bench, wish: Wish, hanging: Answer) -> object:
    """Leave a generation while the vendor hangs, wait until the vendor sees it, and tell how it ended."""
    bench.forget()
    async with asyncio.timeout(PATIENCE):
        async with bench.workshop.opened(wish) as generation:
            bench.workshop.engine.launch(generation)
            await (hanging.asked if hanging.before else hanging.begun).wait()
        await hanging.client_gone.wait()
        return (await events_of(generation))[-1]

"""Before a generation runs: what it is counted for, who hears that it does not come, and that its id is free then."""

import asyncio
from dataclasses import replace

import pytest
from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.image import UNREADABLE
from imagegen_server.domain.task import ImageReference, RetryWish
from imagegen_server.generation.admission import AdmissionSettings
from imagegen_server.generation.middleware import Context, Middleware
from imagegen_server.generation.opening import Terms

from tests.support.generation import (
    CALLER,
    as_entry,
    drawing,
    editing,
    events_of,
    workshop,
    workshop_of,
    yielding,
)
from tests.support.pictures import noisy_png, png
from tests.support.provider import ScriptedProvider, never

EIGHT_ELSEWHERE = replace(
    drawing("first/any", params={"second": {"n": 8}}), retry=RetryWish(fallback_models=("second/any",))
)
"""One picture of the first model, eight of the second."""


async def test_the_model_that_makes_most_is_what_a_call_is_counted_for() -> None:
    """A fallback whose own params ask for more is within the caller's limit, and the budgets never fall below zero."""
    first = ScriptedProvider(yielding(ImageError(Reason.PROVIDER_UNAVAILABLE, "down"), accepted=False))
    shop = workshop_of(as_entry(first, name="first"), as_entry(name="second"))
    with pytest.raises(ImageError) as caught:
        await shop.engine.open(EIGHT_ELSEWHERE, Caller("frugal", images_per_minute=7), Terms())
    assert caught.value.reason is Reason.CALLER_LIMIT_EXCEEDED

    async with shop.opened(EIGHT_ELSEWHERE) as generation:
        shop.engine.launch(generation)
        last = (await events_of(generation))[-1]
        assert isinstance(last, Finished)
        held = shop.admission.bytes_in_flight

    assert held == sum(image.image.size_bytes for image in last.result.images)
    assert len(last.result.images) == 8
    assert shop.in_hand == (0, 0, 0)


async def test_who_may_come_back_needs_no_time_now() -> None:
    """A deadline is too short only for a generation that ends with its readers."""
    shop = workshop()

    async with shop.opened(time_left=0.1, request_id="mine"):
        pass
    with pytest.raises(ImageError) as caught:
        await shop.open(time_left=0.1, request_id="mine", detach=False)

    assert caught.value.reason is Reason.DEADLINE_TOO_SHORT


async def test_the_id_is_free_although_giving_up_is_cut_short() -> None:
    """A call that is cancelled while it gives up its generation leaves nobody waiting for its request_id."""
    telling, told = asyncio.Event(), asyncio.Event()

    class Slow(Middleware):
        async def on_abort(self, _context: Context) -> None:
            telling.set()
            await told.wait()

    shop = workshop(middleware=[Slow("slow")])
    reading = await shop.open(request_id="mine")
    closing = asyncio.create_task(reading.close())
    await telling.wait()
    closing.cancel()
    await asyncio.wait([closing])
    told.set()

    async with asyncio.timeout(30):
        await shop.run(request_id="mine")

    assert closing.cancelled()
    assert shop.in_hand == (0, 0, 0)


async def test_a_store_that_cannot_free_an_id_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks next hears of it, instead of nothing for ever."""
    shop = workshop()

    async def unavailable(*_: str) -> None:
        raise ImageError(Reason.STORE_UNAVAILABLE, "away")

    monkeypatch.setattr(shop.store, "free", unavailable)
    reading = await shop.open(request_id="mine")
    with pytest.raises(ImageError):
        await reading.close()

    async with asyncio.timeout(30):
        with pytest.raises(ImageError):
            await shop.open(request_id="mine")

    assert shop.in_hand == (0, 0, 0)


async def test_an_id_that_the_server_made_buys_nothing() -> None:
    """Who asks again by the request_id of a call that gave none is sent to Resume, and one of another form is taken."""
    shop = workshop()
    async with shop.opened() as first:
        shop.engine.launch(first)
        await events_of(first)

    with pytest.raises(ImageError) as caught:
        await shop.open(request_id=first.request_id)

    error = caught.value
    assert (error.reason, error.billed) == (Reason.REQUEST_ID_REUSED, Billed.NO)
    assert error.metadata == {"request_id": first.request_id, "generation_id": first.id}
    assert len(shop.provider.tasks) == 1
    assert shop.in_hand == (0, 0, 0)
    async with await shop.engine.resume(CALLER, Terms(), request_id=first.request_id) as reading:
        assert reading.generation is first
    await shop.run(request_id="order_customer_seven")


async def test_inputs_count_while_a_call_waits_for_another_and_reads_along() -> None:
    """Each call of one request_id holds its own inputs in memory; over the budget it is refused like any other."""
    wish = editing(noisy_png(64, 64))
    shop = workshop(never)
    first = await shop.open(wish, request_id="mine")
    alone = shop.admission.bytes_in_flight

    second = asyncio.create_task(shop.open(wish, request_id="mine"))
    await asyncio.sleep(0)
    waiting = shop.admission.bytes_in_flight
    shop.engine.launch(first.generation)
    joined = await second

    assert waiting - alone == shop.admission.bytes_in_flight - alone == wish.input_bytes
    shop.admission._settings = AdmissionSettings(max_bytes_in_flight=shop.admission.bytes_in_flight)
    with pytest.raises(ImageError) as caught:
        await shop.open(wish, request_id="mine")
    assert caught.value.reason is Reason.SERVER_BUSY
    await shop.engine.cancel(CALLER, request_id="mine")
    await first.generation.log.end()
    for reading in (first, joined):
        await reading.close()
    assert shop.in_hand == (0, 0, 0)


async def test_middleware_hears_of_its_own_image_that_is_not_there() -> None:
    """What began ends: a refusal for what on_request put into the request is told to on_error."""
    heard: list[Reason] = []

    class Adds(Middleware):
        async def on_request(self, context: Context) -> None:
            reference = ImageReference("input.images[0]", 0, image_id="nonsense")
            context.request = replace(context.request, images=(UNREADABLE,), references=(reference,))

        async def on_error(self, _context: Context, error: ImageError) -> None:
            heard.append(error.reason)

    shop = workshop(middleware=[Adds("adds")])

    with pytest.raises(ImageError):
        await shop.open(editing(png()))

    assert heard == [Reason.IMAGE_NOT_FOUND]
    assert shop.in_hand == (0, 0, 0)


async def test_what_begins_after_the_drain_is_stopped_before_it_costs() -> None:
    """A call that was admitted in time and committed too late asks no provider that nobody would wait for."""
    shop = workshop(never)
    reading = await shop.open(request_id="mine")
    await shop.engine.drain(0.0, last_readers=0.0)

    shop.engine.launch(reading.generation)
    assert reading.generation.stop_error is not None
    last = (await events_of(reading.generation))[-1]
    await reading.close()

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.NO)
    assert shop.provider.tasks == []

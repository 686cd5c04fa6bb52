"""Leaving, deadlines and timeouts close the connection to the vendor, wherever the answer stands."""

import asyncio
from typing import Literal

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken, ImageFinished, LogEvent, PreviewShown
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.generation import readers as readers_module
from imagegen_server.generation.generation import Generation

from tests.support.generation import drawing, events_of, until
from tests.support.http_server import ENGINES, PATIENCE
from tests.support.openai_checks import Order
from tests.support.openai_provider import MODEL, OpenAIWorkshop, openai_workshop
from tests.support.openai_wire import events
from tests.support.vendor import Answer, event_answer

Engine = Literal["aiohttp", "httpx"]
Place = Literal["headers", "body", "stream"]
PLACES = ("headers", "body", "stream")
STREAMED = Order(
    kind="image_generation",
    model="gpt-image-2",
    size=(16, 16),
    n=1,
    quality="low",
    background="opaque",
    output_format="png",
    stream=True,
    partial_images=1,
    frames=1,
    input_images=0,
    safety_identifier="",
)
SOON = 0.5
"""Seconds until a deadline: enough for a call on loopback to get where it shall be then."""

LATER = 1.0
"""The same for the first call of a provider, which loads what it needs."""

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def stuck(place: Place) -> Answer:
    """Answer so far and no further."""
    if place == "headers":
        return Answer(before=asyncio.Event())
    if place == "body":
        return Answer(200, {"content-type": "application/json"}, [b'{"created": 1, "data": [', asyncio.Event()])
    partial, completed = events(STREAMED)
    return event_answer(partial, asyncio.Event(), completed)


async def reached(answer: Answer, generation: Generation, place: Place) -> None:
    """Wait until the answer stands where it stays."""
    if place == "stream":
        await until(generation, PreviewShown)
    else:
        await (answer.asked if place == "headers" else answer.begun).wait()


async def seen_by_vendor(answer: Answer) -> None:
    """Wait until the vendor's socket was closed from our side."""
    async with asyncio.timeout(PATIENCE):
        await answer.client_gone.wait()


async def draws_again(made: OpenAIWorkshop) -> None:
    """See that the provider is as good as before."""
    result = await made.workshop.result(drawing(MODEL))
    assert len(result.images) == 1
    assert made.workshop.admission.calls == 0


def check_end(log: list[LogEvent], reason: Reason, place: Place) -> None:
    """See that nothing was made of what is unfinished, and that it may have been billed."""
    last = log[-1]
    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (reason, Billed.UNKNOWN)
    assert not any(isinstance(event, ImageFinished) for event in log)
    (attempt,) = last.failure.attempts
    shown = place == "stream"
    assert attempt.outcome is (AttemptOutcome.ACCEPTED if shown else AttemptOutcome.AMBIGUOUS)
    assert attempt.provider_request_id.startswith("req_") is shown


@pytest.mark.parametrize("place", PLACES)
async def test_leaving_closes_the_connection(place: Place, engine: Engine) -> None:
    """The last reader leaves: the vendor sees it, the generation is CANCELLED, and the next call works."""
    answer = stuck(place)
    async with openai_workshop(engine=engine) as made:
        made.fake.answer_next(answer)
        async with made.workshop.opened(drawing(MODEL, preview_count=1 if place == "stream" else 0)) as generation:
            made.workshop.engine.launch(generation)
            await reached(answer, generation, place)
            assert not answer.client_gone.is_set()
        await seen_by_vendor(answer)
        check_end(await events_of(generation), Reason.CANCELLED, place)
        await draws_again(made)


@pytest.mark.parametrize("place", PLACES)
async def test_a_deadline_closes_the_connection(place: Place, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's time is over: the vendor sees it, and the generation is a TIMEOUT."""
    monkeypatch.setattr(readers_module, "ANSWER_SECONDS", 30.0 - SOON)
    answer = stuck(place)
    async with openai_workshop(engine=engine) as made:
        await draws_again(made)
        made.fake.answer_next(answer)
        wish = drawing(MODEL, preview_count=1 if place == "stream" else 0)
        log = await made.workshop.run(wish, time_left=30.0)
        await seen_by_vendor(answer)
        check_end(log, Reason.TIMEOUT, place)
        await draws_again(made)


@pytest.mark.parametrize("place", PLACES)
async def test_a_silent_vendor_is_left_after_the_timeout(place: Place, engine: Engine) -> None:
    """Without a byte more nothing but the provider's timeout ends it, and that does: there is no shorter limit."""
    answer = stuck(place)
    async with openai_workshop(engine=engine, timeout=LATER) as made:
        made.fake.answer_next(answer)
        log = await made.workshop.run(drawing(MODEL, preview_count=1 if place == "stream" else 0))
        await seen_by_vendor(answer)
        check_end(log, Reason.TIMEOUT, place)
        last = log[-1]
        assert isinstance(last, Broken)
        assert f"{LATER:g} s" in last.error.message
        assert made.workshop.admission.calls == 0


async def test_one_of_several_streams_that_hangs_costs_only_its_own_image(engine: Engine) -> None:
    """Three previewed images are three calls: two are finished, and leaving closes the third one's connection."""
    answer = stuck("stream")
    async with openai_workshop(engine=engine) as made:
        made.fake.answer_next(answer)
        async with made.workshop.opened(drawing(MODEL, count=3, preview_count=1)) as generation:
            made.workshop.engine.launch(generation)
            finished = 0
            async for entry in generation.log.read(0, PATIENCE):
                finished += isinstance(getattr(entry, "event", None), ImageFinished)
                if finished == 2:
                    break
        await seen_by_vendor(answer)
        log = await events_of(generation)

    assert sum(isinstance(event, ImageFinished) for event in log) == 2
    assert len(made.fake.requests) == 3

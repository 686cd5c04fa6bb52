"""Predictions are asked after whatever happens on the way, and called off when nobody wants them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken, Progress
from imagegen_server.generation import readers as readers_module
from imagegen_server.http.polling import Pace

from tests.support.generation import drawing, editing, events_of, until
from tests.support.http_server import PATIENCE
from tests.support.pictures import noisy_png
from tests.support.replicate_api import FakeReplicate, said
from tests.support.replicate_api import told as told_of
from tests.support.replicate_provider import MODEL, replicate_workshop
from tests.support.vendor import Answer, hanging_answer, html_answer, json_answer


async def called_off(fake: FakeReplicate) -> None:
    """Wait until the vendor was told to stop."""
    async with asyncio.timeout(PATIENCE):
        await fake.work.called_off.wait()


@pytest.mark.parametrize(
    "trouble",
    [
        html_answer(502),
        json_answer(500, {"detail": "Internal server error"}),
        json_answer(429, {"detail": "Request was throttled. Your rate limit resets in ~0s."}),
        json_answer(404, {"detail": "Not found."}),
        Answer(200, {"content-type": "application/json"}, [b"", b'{"status": "succ'], breaks_off=True),
        Answer(200, {"content-type": "application/json"}, [b"[]"]),
    ],
    ids=["gateway", "error", "too many", "not yet", "cut", "no object"],
)
async def test_trouble_while_asking_loses_nothing(trouble: Answer) -> None:
    """Nothing is created again: the next question is answered."""
    async with replicate_workshop() as made:
        done = told_of(made.fake, status="succeeded", output=f"{made.fake.origin}/delivery/png-1")
        made.fake.answer_next(said(201, told_of(made.fake)), replace(trouble, checks=False), said(200, done))
        result = await made.workshop.result(drawing(MODEL))

    assert [request.method for request in made.fake.requests].count("POST") == 1
    assert len(result.images) == 1


@pytest.mark.parametrize("status", ["succeeded", "failed", "aborted"])
async def test_what_has_ended_when_it_is_created_is_not_asked_after(status: str) -> None:
    """Nor called off."""
    async with replicate_workshop() as made:
        body = told_of(made.fake, status=status, output=f"{made.fake.origin}/delivery/png-1")
        made.fake.answer_next(said(201, body))
        await made.workshop.run(drawing(MODEL))

    assert [call.path.startswith("/v1/predictions/") for call in made.fake.requests].count(True) == 0


@pytest.mark.parametrize("urls", [None, {}, {"get": 5, "cancel": None}, "x"], ids=range(4))
async def test_addresses_that_the_vendor_does_not_name_are_made_here(urls: Any) -> None:
    """From the id."""
    async with replicate_workshop() as made:
        done = told_of(made.fake, status="succeeded", output=f"{made.fake.origin}/delivery/png-1")
        made.fake.answer_next(said(201, told_of(made.fake, urls=urls)), said(200, done))
        await made.workshop.result(drawing(MODEL))

    assert made.fake.requests[1].path == "/v1/predictions/p1"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.replicate.com.evil.example/x",
        "http://api.replicate.com/v1/predictions/p1",
        "https://replicate.delivery/x",
        "nonsense",
    ],
)
async def test_no_key_goes_to_a_stranger(url: str) -> None:
    """Who answers an address elsewhere is not followed, neither to ask nor to call it off."""
    async with replicate_workshop() as made:
        made.fake.answer_next(said(201, told_of(made.fake, urls={"get": url, "cancel": url})))
        broken = await made.workshop.broken(drawing(MODEL))
        await made.entry.provider.close()

    assert (broken.error.reason, broken.error.billed) == (Reason.INVALID_RESPONSE, Billed.UNKNOWN)
    assert broken.error.provider_request_id == "p1"
    assert len(made.fake.requests) == 1


async def test_leaving_calls_the_prediction_off() -> None:
    """The vendor is told once, and the generation is CANCELLED; it may have been billed."""
    async with replicate_workshop() as made:
        made.fake.work.statuses = ("starting",)
        async with made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await until(generation, Progress)
        await called_off(made.fake)
        last = (await events_of(generation))[-1]

    (number,) = made.fake.work.predictions
    assert made.fake.work.canceled == [number]
    (farewell,) = [call for call in made.fake.requests if call.path.endswith("/cancel")]
    assert (farewell.method, farewell.path, farewell.body) == ("POST", f"/v1/predictions/{number}/cancel", b"")
    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)


async def test_a_deadline_calls_the_prediction_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing outlives the attempt but the farewell; the vendor knew how much time was left."""
    monkeypatch.setattr(readers_module, "ANSWER_SECONDS", 29.5)
    async with replicate_workshop() as made:
        made.fake.work.statuses = ("processing",)
        broken = await made.workshop.broken(drawing(MODEL), time_left=30.0)
        await called_off(made.fake)

    assert broken.error.reason is Reason.TIMEOUT
    assert made.fake.requests[0].headers["cancel-after"] == "5s"


async def test_closing_waits_for_farewells() -> None:
    """Who stops the server right after leaving does not leave work behind that costs."""
    async with replicate_workshop() as made:
        made.fake.work.statuses = ("processing",)
        async with made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await until(generation, Progress)
        await events_of(generation)
        await made.entry.provider.close()

    assert len(made.fake.work.canceled) == 1


@pytest.mark.parametrize("place", ["upload", "create", "ask"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """Wherever the request stands, the vendor sees its socket closed, and the next call works."""
    hanging = replace(hanging_answer(asyncio.Event()), checks=False)
    wish = editing(noisy_png(400, 400), model="replicate/black-forest-labs/flux-2-pro")
    async with replicate_workshop() as made:
        before = [said(201, told_of(made.fake))] if place == "ask" else []
        made.fake.answer_next(*before, hanging)
        async with made.workshop.opened(wish if place == "upload" else drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await hanging.begun.wait()
        async with asyncio.timeout(PATIENCE):
            await hanging.client_gone.wait()
        await events_of(generation)
        assert len((await made.workshop.result(drawing(MODEL))).images) == 1


async def test_trouble_that_lasts_is_told_and_the_prediction_called_off() -> None:
    """After the patience, with what may have been billed."""
    async with replicate_workshop(pace=Pace(0.001, 1.0, 0.001, patience=0.05)) as made:
        made.fake.retouch = lambda call, answer: (
            replace(html_answer(502), checks=False) if call.method == "GET" else answer
        )
        broken = await made.workshop.broken(drawing(MODEL))
        await called_off(made.fake)

    assert broken.error.billed is Billed.UNKNOWN
    assert broken.error.http_status == 502
    assert len(made.fake.work.canceled) == 1

"""Work in the vendor's queue: it is asked after whatever happens on the way, and called off when nobody wants it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken, Phase, Progress
from imagegen_server.generation import readers as readers_module
from imagegen_server.http.polling import Pace

from tests.support.fal_api import COMPLETED, FakeFal, detail, model_error, said, submitted
from tests.support.fal_provider import MODEL, fal_workshop
from tests.support.generation import drawing, events_of, until
from tests.support.http_server import PATIENCE
from tests.support.vendor import Answer, hanging_answer, html_answer, json_answer

NOT_PAID = (Reason.PROVIDER_UNAVAILABLE, Billed.NO)


async def called_off(fake: FakeFal) -> None:
    """Wait until the vendor was told to stop."""
    async with asyncio.timeout(PATIENCE):
        await fake.queue.called_off.wait()


async def test_the_way_through_the_queue_is_told() -> None:
    """The place in the queue, each time that it changes, then that it is drawn; an unknown status is work under way."""
    async with fal_workshop() as made:
        made.fake.queue.statuses = [
            {"status": "IN_QUEUE", "queue_position": 7},
            {"status": "IN_QUEUE", "queue_position": 7},
            {"status": "IN_QUEUE", "queue_position": 0},
            {"status": "IN_QUEUE", "queue_position": "soon"},
            {"status": "WARMING_UP"},
            {"status": "IN_PROGRESS"},
            {"status": "COMPLETED"},
        ]
        events = await made.workshop.run(drawing(MODEL))
    told = [(event.phase, event.queue_position) for event in events if isinstance(event, Progress)]

    queued = [(Phase.QUEUED, 7), (Phase.QUEUED, 0), (Phase.QUEUED, None)]
    assert [step for step in told if step[0] in (Phase.QUEUED, Phase.GENERATING)] == [*queued, (Phase.GENERATING, None)]
    assert made.fake.queue.cancelled == []


@pytest.mark.parametrize(
    "trouble",
    [
        html_answer(502),
        html_answer(503),
        json_answer(500, detail("Internal error")),
        json_answer(429, detail("Too many requests")),
        json_answer(404, detail("Request not found")),
        Answer(200, {"content-type": "application/json"}, [b"", b'{"status": "COMP'], breaks_off=True),
        Answer(200, {"content-type": "application/json"}, [b"[]"]),
    ],
    ids=["gateway", "overloaded", "error", "too many", "not yet", "cut", "no object"],
)
async def test_trouble_while_asking_loses_nothing(trouble: Answer) -> None:
    """Nothing is submitted again: the next question is answered."""
    async with fal_workshop() as made:
        picture = {"images": [{"url": f"{made.fake.base_url}/files/png-1"}]}
        made.fake.answer_next(
            submitted(made.fake), replace(trouble, checks=False), said(200, COMPLETED), said(200, picture)
        )
        result = await made.workshop.result(drawing(MODEL))

    assert [request.method for request in made.fake.requests].count("POST") == 1
    assert len(result.images) == 1


async def test_trouble_while_getting_the_picture_loses_nothing() -> None:
    """The answer is asked for again, also where one of the vendor's copies does not have it yet."""
    async with fal_workshop() as made:
        picture = {"images": [{"url": f"{made.fake.base_url}/files/png-1"}]}
        made.fake.answer_next(
            submitted(made.fake),
            said(200, COMPLETED),
            replace(html_answer(502), checks=False),
            said(400, detail("Request is still in progress")),
            said(202, {"status": "IN_PROGRESS"}),
            said(429, detail("Too many requests")),
            said(404, detail("Request not found")),
            said(500, detail("Internal Server Error")),
            replace(Answer(200, {"content-type": "application/json"}, [b"", b'{"ima'], breaks_off=True), checks=False),
            said(200, picture),
        )
        result = await made.workshop.result(drawing(MODEL))

    assert len(result.images) == 1
    assert result.attempts[0].provider_request_id == "r-1"


@pytest.mark.parametrize(
    ("status", "body", "reason", "billed"),
    [
        (422, model_error("content_policy_violation", "Flagged.", "prompt"), Reason.CONTENT_FILTERED, Billed.UNKNOWN),
        (503, detail("Runner is gone", "runner_disconnected"), *NOT_PAID),
        (500, model_error("internal_server_error", "Internal server error"), Reason.PROVIDER_ERROR, Billed.NO),
        (504, detail("Request timed out", "request_timeout"), Reason.TIMEOUT, Billed.NO),
    ],
    ids=["policy", "runner", "server", "timeout"],
)
async def test_failure_is_the_answer_of_completed_work(
    status: int, body: dict[str, Any], reason: Reason, billed: Billed
) -> None:
    """Work that failed is COMPLETED, too; its answer says why, and is believed at once although its status is 5xx."""
    async with fal_workshop() as made:
        made.fake.answer_next(submitted(made.fake), said(200, COMPLETED | {"error": "it failed"}), said(status, body))
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed, broken.error.http_status) == (reason, billed, status)
    assert broken.error.provider_request_id == "r-1"
    assert len(made.fake.requests) == 3
    assert made.fake.queue.cancelled == []


async def test_addresses_that_the_vendor_does_not_name_are_made_here() -> None:
    """At the owner and the app of the model, without the path behind them."""
    async with fal_workshop() as made:
        made.fake.answer_next(
            submitted(made.fake, status_url=None, response_url=None, cancel_url=None),
            said(200, COMPLETED),
            said(200, {"image": {"url": f"{made.fake.base_url}/files/png-1"}}),
        )
        await made.workshop.result(drawing(MODEL))

    place = "/queue/fal-ai/flux/requests/r-1"
    assert [request.path for request in made.fake.requests[1:3]] == [f"{place}/status", place]


@pytest.mark.parametrize("url", ["https://fal.run.evil.example/x", "http://queue.fal.run/x", "nonsense", "ftp://x/y"])
async def test_no_key_goes_to_a_stranger(url: str) -> None:
    """Who answers an address elsewhere is not followed."""
    async with fal_workshop() as made:
        made.fake.answer_next(submitted(made.fake, status_url=url))
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (Reason.INVALID_RESPONSE, Billed.UNKNOWN)
    assert "/queue/fal-ai/flux/requests/r-1/status" not in [request.path for request in made.fake.requests]


async def test_leaving_calls_the_work_off() -> None:
    """The vendor is told once, and the generation is CANCELLED; it may have been billed."""
    async with fal_workshop() as made:
        made.fake.queue.statuses = [{"status": "IN_QUEUE", "queue_position": 3}]
        async with made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await until(generation, Progress)
        await called_off(made.fake)
        last = (await events_of(generation))[-1]

    (request_id,) = made.fake.queue.works
    assert made.fake.queue.cancelled == [request_id]
    (farewell,) = [request for request in made.fake.requests if request.method == "PUT"]
    assert (farewell.path, farewell.body) == (f"/queue/fal-ai/flux/requests/{request_id}/cancel", b"")
    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)


async def test_a_deadline_calls_the_work_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing outlives the attempt but the farewell."""
    monkeypatch.setattr(readers_module, "ANSWER_SECONDS", 29.5)
    async with fal_workshop() as made:
        made.fake.queue.statuses = [{"status": "IN_PROGRESS"}]
        broken = await made.workshop.broken(drawing(MODEL), time_left=30.0)
        await called_off(made.fake)

    assert broken.error.reason is Reason.TIMEOUT


async def test_closing_waits_for_farewells() -> None:
    """Who stops the server right after leaving does not leave work behind that costs."""
    async with fal_workshop() as made:
        made.fake.queue.statuses = [{"status": "IN_PROGRESS"}]
        async with made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await until(generation, Progress)
        await events_of(generation)
        await made.entry.provider.close()

    assert len(made.fake.queue.cancelled) == 1


@pytest.mark.parametrize("place", ["submit", "status", "answer"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """Wherever the request stands, the vendor sees its socket closed, and the next call works."""
    hanging = replace(hanging_answer(asyncio.Event()), checks=False)
    async with fal_workshop() as made:
        before = [submitted(made.fake), said(200, COMPLETED)][: ["submit", "status", "answer"].index(place)]
        made.fake.answer_next(*before, hanging)
        async with made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await hanging.begun.wait()
        async with asyncio.timeout(PATIENCE):
            await hanging.client_gone.wait()
        await events_of(generation)
        assert len((await made.workshop.result(drawing(MODEL))).images) == 1


async def test_trouble_that_lasts_is_told_and_the_work_called_off() -> None:
    """After the patience, with what may have been billed."""
    async with fal_workshop(pace=Pace(0.001, 1.0, 0.001, patience=0.05)) as made:
        made.fake.answer_next(submitted(made.fake), *[replace(html_answer(502), checks=False) for _ in range(5000)])
        broken = await made.workshop.broken(drawing(MODEL))

    assert broken.error.billed is Billed.UNKNOWN
    assert broken.error.http_status == 502

"""The provider as the engine runs it, on a strict fake of the vendor: pictures, prices, trouble and leaving."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken, PreviewShown
from imagegen_server.domain.result import AttemptOutcome, Cost
from imagegen_server.domain.secret import Secret
from imagegen_server.generation import result_url
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.providers.registry import Registry

from tests.support.bfl_api import KEY, SEED, fake_bfl
from tests.support.bfl_provider import MODEL, bfl_entry, bfl_workshop
from tests.support.generation import drawing, events_of, workshop_of
from tests.support.http_server import PATIENCE
from tests.support.vendor import Answer, hanging_answer, json_answer

FLUX_3 = "bfl/flux-3-image"


def pending(**members: Any) -> Answer:
    """Say that the task is under way."""
    return json_answer(200, {"id": "task-1", "status": "Pending", **members})


async def test_a_picture_is_drawn() -> None:
    """With its price, its seed, the vendor's id of the task; the key goes to the API and not to the picture's host."""
    async with bfl_workshop() as made:
        result = await made.workshop.result(drawing(MODEL))
    submitted, asked, fetched = made.fake.requests

    assert (submitted.method, submitted.path, submitted.json) == ("POST", "/v1/flux-2-pro", {"prompt": "a boat"})
    assert (asked.method, asked.path, asked.query) == ("GET", "/v1/get_result", "id=task-1")
    assert (fetched.method, fetched.path) == ("GET", "/delivery/16x16.jpeg")
    assert [call.headers.get("x-key") for call in made.fake.requests] == [KEY, KEY, None]
    (image,) = result.images
    assert (image.image.facts.media_type, image.seed, image.revised_prompt) == ("image/jpeg", SEED, None)
    assert image.metadata["bfl"]["duration"] == 2.25
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (1, Cost(0.045, "USD"))
    assert result.metadata["bfl"] == {"credits": 4.5, "input_mp": 0.0, "output_mp": 1.05}
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == "task-1"


async def test_several_are_tasks_side_by_side() -> None:
    """One each, with seeds of their own; the prices are added up."""
    async with bfl_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=3, seed=7))

    assert sorted(call.json["seed"] for call in made.fake.submitted) == [7, 8, 9]
    assert [image.seed for image in result.images] == [7, 8, 9]
    assert result.usage is not None
    assert result.usage.cost is not None
    assert result.usage.cost.amount == pytest.approx(0.135)
    assert len(result.metadata["bfl"]["requests"]) == 3  # type: ignore[arg-type]


async def test_one_of_several_may_be_kept_back() -> None:
    """The others come, and it is not charged."""
    async with bfl_workshop() as made:
        made.fake.answer_next(json_answer(200, {"id": "task-0", "status": "Request Moderated"}))
        result = await made.workshop.result(drawing(MODEL, count=2))

    assert len(result.images) == 1
    assert [(item.error.reason, item.error.billed) for item in result.failures] == [
        (Reason.CONTENT_FILTERED, Billed.NO)
    ]


async def test_a_model_without_a_seed_tells_none() -> None:
    """And has PNG alone."""
    async with bfl_workshop() as made:
        (image,) = (await made.workshop.result(drawing(FLUX_3))).images

    assert (image.seed, image.image.facts.media_type) == (None, "image/png")


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(500, checks=False),
        json_answer(429, {"error": "rate_limit_exceeded", "retry_after": 0}),
        Answer(503, {"retry-after": "0"}, checks=False),
        Answer(200, {"content-type": "application/json"}, [b"", b'{"status": "Rea'], breaks_off=True, checks=False),
        json_answer(404, {"detail": "Not Found"}),
    ],
    ids=["500", "429", "503", "cut", "404"],
)
async def test_trouble_on_the_way_is_no_reason_to_buy_again(trouble: Answer) -> None:
    """The task is asked after once more, whatever the strategy of retries."""
    async with fake_bfl() as fake:
        entry = bfl_entry(fake.base_url)
        try:
            upstreams = {entry.name: UpstreamSettings((ProviderKey(Secret(KEY)),))}
            made = workshop_of(entry, upstreams=upstreams)
            fake.answer_next(json_answer(200, fake.task_body()), trouble, json_answer(200, ready(fake.sample_url())))
            result = await made.result(drawing(MODEL))
        finally:
            await Registry([entry]).close()

    assert len(result.images) == 1
    assert [call.method for call in fake.requests] == ["POST", "GET", "GET", "GET"]


def ready(sample: str, **result: Any) -> dict[str, Any]:
    """Write the answer that a picture is there."""
    return {"id": "task-0", "status": "Ready", "result": {"sample": sample, **result}}


async def test_a_task_that_failed_is_not_bought_again() -> None:
    """It was taken on, and may have been paid for."""
    async with fake_bfl() as fake:
        entry = bfl_entry(fake.base_url)
        try:
            upstreams = {entry.name: UpstreamSettings((ProviderKey(Secret(KEY)),))}
            fake.answer_next(json_answer(200, fake.task_body()), json_answer(200, {"id": "task-0", "status": "Error"}))
            broken = await workshop_of(entry, upstreams=upstreams).broken(drawing(MODEL))
        finally:
            await Registry([entry]).close()

    assert (broken.error.reason, broken.error.billed) == (Reason.PROVIDER_ERROR, Billed.UNKNOWN)
    assert len(fake.submitted) == 1


async def test_a_picture_that_cannot_be_fetched_was_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address is tried again, and nothing is bought again."""
    monkeypatch.setattr(result_url, "WAITS", (0.0, 0.0))
    async with bfl_workshop() as made:
        task = json_answer(200, made.fake.task_body(cost=4.5))
        gone = [Answer(404, checks=False) for _ in range(3)]
        made.fake.answer_next(task, json_answer(200, ready(made.fake.sample_url())), *gone)
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (Reason.INVALID_RESPONSE, Billed.YES)
    assert broken.failure.usage is not None
    assert broken.failure.usage.cost == Cost(0.045, "USD")
    assert len(made.fake.submitted) == 1


@pytest.mark.parametrize("place", ["submit", "submit body", "ask", "ask body", "fetch"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """The vendor sees its socket closed wherever it was, nothing more is asked, and the next call works.

    There is no request that calls a task off, so none is sent.
    """
    last = Answer(before=asyncio.Event()) if "body" not in place else hanging_answer(asyncio.Event())
    last = replace(last, checks=False)
    async with bfl_workshop() as made:
        task = json_answer(200, made.fake.task_body())
        before = {"ask": [task, pending()], "fetch": [task, json_answer(200, ready(made.fake.sample_url()))]}
        earlier = before.get(place.split(maxsplit=1)[0], [])
        made.fake.answer_next(*earlier, last)
        async with made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await (last.begun if "body" in place else last.asked).wait()
        async with asyncio.timeout(PATIENCE):
            await last.client_gone.wait()
        ended = (await events_of(generation))[-1]
        assert len(made.fake.requests) == len(earlier) + 1
        assert len((await made.workshop.result(drawing(MODEL))).images) == 1

    assert isinstance(ended, Broken)
    assert (ended.error.reason, ended.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)


async def test_nothing_outlives_the_time_of_a_request() -> None:
    """The vendor's silence about a task ends with the provider's timeout, and its socket with it."""
    async with fake_bfl() as fake:
        entry = replace(bfl_entry(fake.base_url), timeout=2.0)
        silent = replace(hanging_answer(asyncio.Event()), checks=False)
        try:
            fake.answer_next(json_answer(200, fake.task_body(cost=4.5)), silent)
            upstreams = {entry.name: UpstreamSettings((ProviderKey(Secret(KEY)),))}
            broken = await workshop_of(entry, upstreams=upstreams).broken(drawing(MODEL))
            async with asyncio.timeout(PATIENCE):
                await silent.client_gone.wait()
        finally:
            await Registry([entry]).close()

    assert (broken.error.reason, broken.error.billed) == (Reason.TIMEOUT, Billed.UNKNOWN)
    assert len(fake.submitted) == 1
    assert broken.failure.attempts[0].provider_request_id == "task-0"


PREVIEW = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@pytest.mark.parametrize(
    ("previews", "wanted", "shown"),
    [
        ([{"image": PREVIEW}], 2, 1),
        ([PREVIEW, PREVIEW, {"sample": f"data:image/gif;base64,{PREVIEW}"}], 2, 2),
        ([{"url": "{base}"}], 1, 1),
        ([PREVIEW, {"url": "{base}"}], 1, 1),
        ([PREVIEW], 0, 0),
        ([None, {}, {"image": None}, 7, {"image": 7}, "", {"stage": "x"}], 2, 0),
        (["?", {"image": "?"}, {"url": "http://10.0.0.1/x.png"}], 2, 0),
    ],
    ids=["object", "text", "url", "limit", "unwanted", "none", "broken"],
)
async def test_a_preview_is_shown_if_it_is_a_picture(
    previews: list[Any], wanted: int, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor has the field and documents nothing of it: base64 or an address, each once, as many as wanted."""
    monkeypatch.setattr(result_url, "WAITS", ())
    async with bfl_workshop() as made:
        url = made.fake.sample_url("preview.png")
        told = [
            {name: url if value == "{base}" else value for name, value in preview.items()}
            if isinstance(preview, dict)
            else preview
            for preview in previews
        ]
        answers: list[Answer] = []
        for preview in told:
            answers.append(pending(preview=preview))
            if isinstance(preview, dict) and preview.get("url") == url and wanted and shown > len(answers) - 1:
                answers.append(made.fake.draw_at(url))
        made.fake.answer_next(json_answer(200, made.fake.task_body()), *answers)
        made.fake.answer_next(json_answer(200, ready(made.fake.sample_url())))
        events = await made.workshop.run(drawing(MODEL, preview_count=wanted))

    assert sum(isinstance(event, PreviewShown) for event in events) == shown


SECRET = "bfl_Zx81Kq77abcdefghijklmnopqrstuvwxyz"
PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(400, {"detail": f"Bad request: {SECRET} said {PROMPT}"}),
        json_answer(422, {"detail": [{"loc": ["body", f"p {SECRET}"], "msg": f"{PROMPT} {SECRET}", "type": SECRET}]}),
        json_answer(429, {"error": SECRET, "message": f"{SECRET}: {PROMPT}"}),
        json_answer(200, {"id": SECRET, "status": "Error", "details": {"error": f"{SECRET}: {PROMPT}"}}),
        json_answer(
            200, {"id": "t", "status": "Request Moderated", "details": {"Moderation Reasons": [PROMPT, SECRET]}}
        ),
        json_answer(200, {"id": SECRET, "polling_url": f"https://{SECRET}.example/{PROMPT}"}),
        json_answer(200, {"polling_url": f"{SECRET}://{PROMPT}"}),
        Answer(502, {"content-type": "text/html"}, [f"<html>{SECRET} {PROMPT}</html>".encode()]),
    ],
    ids=range(8),
)
async def test_what_the_vendor_repeats_goes_no_further(answer: Answer) -> None:
    """Neither key nor prompt is in an error."""
    async with bfl_workshop(key=SECRET) as made:
        made.fake.answer_next(replace(answer, checks=False))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=PROMPT))
    shown = repr((broken, vars(broken.error), broken.error.facts()))

    assert "Zx81" not in shown
    assert "Ermintrude" not in shown


async def test_words_of_the_caller_do_not_decide_what_is_wrong() -> None:
    """A prompt that speaks of moderation, repeated in an error of another kind."""
    prompt = "a poster: this request was moderated, says the api key"
    async with bfl_workshop() as made:
        made.fake.answer_next(json_answer(400, {"detail": f"width is wrong for {prompt}"}))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))

    assert broken.error.reason is Reason.INVALID_REQUEST

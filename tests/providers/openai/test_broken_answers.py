"""Answers that are partly wrong: a finished image is kept, and nothing that may have been paid for is called free."""

import asyncio
import base64
import json
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.generation.prices import Price
from imagegen_server.http import error_context
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.providers.openai.errors import error_of_answer

from tests.support.generation import drawing
from tests.support.openai_provider import MODEL, openai_workshop
from tests.support.openai_wire import event
from tests.support.pictures import png
from tests.support.vendor import Answer, event_answer, json_answer

JSON = {"content-type": "application/json"}
IMAGE = {"b64_json": base64.b64encode(png(16, 16)).decode()}
PARTIAL = event("image_generation.partial_image", {**IMAGE, "partial_image_index": 0})


@pytest.mark.parametrize("status", [201, 202, 206])
async def test_every_success_is_one(status: int) -> None:
    """A proxy that answers 201 has an image all the same."""
    async with openai_workshop() as made:
        made.fake.answer_next(json_answer(status, {"data": [IMAGE]}))
        assert len((await made.workshop.result(drawing(MODEL))).images) == 1


async def test_an_answer_that_lacks_its_end_alone_is_whole() -> None:
    """The connection may break behind the last brace."""
    body = json.dumps({"data": [IMAGE]}).encode()
    async with openai_workshop() as made:
        made.fake.answer_next(Answer(200, JSON, [b"", body], breaks_off=True))
        result = await made.workshop.result(drawing(MODEL))

    assert len(result.images) == 1
    assert result.attempts[0].billed is Billed.YES


async def test_an_error_that_lacks_its_end_alone_is_read() -> None:
    """What the vendor said is worth more than how it hung up."""
    body = json.dumps({"error": {"message": "no", "code": "insufficient_quota"}}).encode()
    async with openai_workshop() as made:
        made.fake.answer_next(Answer(429, JSON, [b"", body], breaks_off=True))
        broken = await made.workshop.broken(drawing(MODEL))

    assert broken.error.reason is Reason.QUOTA_EXCEEDED


async def test_an_error_whose_text_does_not_come_is_told_by_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits ten minutes for the text of a 401, and what was refused is not reported as perhaps paid for."""
    monkeypatch.setattr(error_context, "_FAILURE_SECONDS", 0.05)
    async with openai_workshop() as made:
        answer = Answer(401, JSON, [b'{"error":', asyncio.Event()])
        made.fake.answer_next(answer)
        broken = await made.workshop.broken(drawing(MODEL))
        await answer.client_gone.wait()

    assert (broken.error.reason, broken.error.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)
    assert broken.error.http_status == 401


@pytest.mark.parametrize("error", [{}, {"message": "one was refused", "code": "moderation_blocked"}])
async def test_images_beside_an_error_are_kept(error: dict[str, Any]) -> None:
    """The error is of those that did not come."""
    async with openai_workshop() as made:
        made.fake.answer_next(json_answer(200, {"error": error, "data": [IMAGE, {}]}))
        result = await made.workshop.result(drawing(MODEL, count=2))

    assert len(result.images) == 1
    expected = Reason.CONTENT_FILTERED if error else Reason.PROVIDER_ERROR
    assert [(failure.index, failure.error.reason) for failure in result.failures] == [(1, expected)]


@pytest.mark.parametrize("error", [{}, {"message": "late"}, "late"])
async def test_a_finished_event_with_an_error_beside_it_is_kept(error: object) -> None:
    """It has the image, which was paid for."""
    async with openai_workshop() as made:
        made.fake.answer_next(event_answer(event("image_generation.completed", {**IMAGE, "error": error})))
        assert len((await made.workshop.result(drawing(MODEL, preview_count=1))).images) == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("rate_limit_exceeded", Reason.RATE_LIMITED),
        ("insufficient_quota", Reason.QUOTA_EXCEEDED),
        ("invalid_api_key", Reason.AUTHENTICATION_FAILED),
        ("model_not_found", Reason.MODEL_NOT_FOUND),
        ("server_overloaded", Reason.PROVIDER_UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("drawn", [False, True], ids=["at-once", "after-a-preview"])
async def test_what_is_refused_after_a_preview_may_have_been_paid_for(code: str, reason: Reason, drawn: bool) -> None:
    """At the start of a stream it is free as ever; once something was drawn, nobody knows."""
    refusal = event("error", {"error": {"message": "no more", "code": code}})
    async with openai_workshop() as made:
        made.fake.answer_next(event_answer(*([PARTIAL] if drawn else []), refusal))
        broken = await made.workshop.broken(drawing(MODEL, preview_count=1))
    (attempt,) = broken.failure.attempts
    billed = Billed.UNKNOWN if drawn else Billed.NO

    assert (broken.error.reason, broken.error.billed, attempt.billed) == (reason, billed, billed)
    assert attempt.outcome is (AttemptOutcome.ACCEPTED if drawn else AttemptOutcome.REJECTED)


async def test_what_the_vendor_decided_is_told_in_words_only() -> None:
    """A member that is as long as a book would make the result too large for its reader."""
    async with openai_workshop() as made:
        made.fake.answer_next(json_answer(200, {"data": [IMAGE], "size": "s" * 1_000_000, "quality": "low"}))
        result = await made.workshop.result(drawing(MODEL))

    assert result.images[0].metadata == {"openai": {"quality": "low"}}


@pytest.mark.parametrize("tokens", [-1, 10**400, True, "7", 1.5, None, {}])
async def test_what_is_no_count_of_tokens_is_unknown(tokens: object) -> None:
    """No picture is paid for by the vendor, and none is lost to a number."""
    usage = {"input_tokens": tokens, "output_tokens": 7, "input_tokens_details": {"text_tokens": tokens}}
    async with openai_workshop(prices={MODEL: Price(input_text=5.0, input_image=5.0, output_image=30.0)}) as made:
        made.fake.answer_next(json_answer(200, {"data": [IMAGE], "usage": usage}))
        result = await made.workshop.result(drawing(MODEL))

    assert result.usage is not None
    assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.cost) == (None, 7, None)


def test_an_error_repeats_no_image() -> None:
    """A vendor that quotes what it could not read quotes base64."""
    shown = base64.b64encode(bytes(range(256))).decode()
    context = ErrorContext("openai", "host", 400, {}, "", "sk-1234567")
    error = error_of_answer(context, json.dumps({"error": {"message": f"Invalid 'image': {shown}."}}).encode())

    assert error.message == "openai: Invalid 'image': (data)."


def test_an_error_moves_no_cursor() -> None:
    """Texts of the vendor end up on terminals, in metadata and in logs: one line, and only what is printable."""
    headers = {"x-request-id": "req\x01\x7f" + "r." * 5_000}
    context = ErrorContext("openai", "host", 400, headers, "a boat at dawn", "sk-1234567")
    said = {"message": "a\x1b[2Jb\nc\ud800d\u202e", "code": "c\x00d of a boat at dawn", "param": "p\r"}
    error = error_of_answer(context, json.dumps({"error": said}).encode())

    assert error.message == "openai: a [2Jb c d "
    assert error.provider_code == "c d of (the prompt)"
    assert error.provider_request_id.startswith("req  r.r.")
    assert len(error.provider_request_id) == 100
    assert [violation.field for violation in error.violations] == ["params.openai.p "]

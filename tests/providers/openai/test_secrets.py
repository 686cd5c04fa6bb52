"""No key and no prompt in an error, a log line or a representation, whatever the vendor repeats."""

import json
import traceback
from typing import Any

import pytest
import structlog
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken
from imagegen_server.domain.secret import Secret
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.providers.openai.errors import error_of_answer

from tests.support.generation import drawing
from tests.support.openai_provider import MODEL, openai_workshop
from tests.support.vendor import Answer, event_answer, json_answer

KEYS = ["sk-proj-Zx81_Kq-77abcdefghijklmnop", "0123456789abcdef0123456789abcdef"]
GATEWAY = "gw-5f1e8d44a0"
PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather,\n\tin her garden at No. 7"


def everything(error: ImageError) -> str:
    """Write down all that an error can tell anybody."""
    parts = [str(error), repr(error), repr(error.facts()), repr(error.violations), repr(vars(error))]
    return "\n".join([*parts, *traceback.format_exception(error)])


def echo(key: str) -> dict[str, Any]:
    """Repeat a key and a prompt in every member of an error."""
    message = f"Incorrect API key provided: {key}. Your prompt was {PROMPT!r}, that is: {PROMPT}"
    return {"error": {"message": message, "type": f"t {key}", "param": f"p[{key}]", "code": f"c {key}"}}


def event(payload: dict[str, Any]) -> Answer:
    """Say it in a stream."""
    return event_answer(f"event: error\ndata: {json.dumps(payload)}\n\n".encode())


def answers(key: str) -> list[Answer]:
    """Repeat it in all the ways there are."""
    page = f"<html>{key} {PROMPT}</html>".encode()
    html = {"content-type": "text/html"}
    shown = {"data": [{"url": f"https://x/?{key}", "b64_json": f"{key} {PROMPT}"}]}
    elsewhere = {"data": [{"url": f"http://10.0.0.1/{key}?Ermintrude&{key}"}]}
    nowhere = {"data": [{"url": f"{key}://{PROMPT}"}]}
    return [
        *(json_answer(status, echo(key)) for status in (400, 401, 404, 429, 500)),
        json_answer(200, echo(key)),
        json_answer(400, {"error": f"{key} {PROMPT}"}),
        *(json_answer(200, body) for body in (shown, elsewhere, nowhere)),
        Answer(502, html, [page]),
        Answer(200, html, [page]),
        event(echo(key)),
        event({"message": f"{key} {PROMPT}"}),
        event_answer(f"data: {key} {PROMPT}\n\n".encode()),
    ]


@pytest.mark.parametrize("number", range(len(answers(""))))
@pytest.mark.parametrize("key", KEYS)
async def test_what_the_vendor_repeats_goes_no_further(
    key: str, number: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither to the caller nor into the log."""
    with structlog.testing.capture_logs() as logged:
        async with openai_workshop(key=key) as made:
            made.fake.key = key
            made.fake.answer_next(answers(key)[number])
            wish = drawing(MODEL, preview_count=1)
            events = await made.workshop.run(type(wish)(wish.operation, wish.model, PROMPT, wish.options))
    last = events[-1]
    assert isinstance(last, Broken)
    told = everything(last.error) + repr(last) + repr(logged) + caplog.text + "".join(capfd.readouterr())

    assert len(made.fake.requests) == 1
    assert key not in told
    assert "Ermintrude" not in told
    assert "garden" not in told


@pytest.mark.parametrize("number", range(len(answers(""))))
@pytest.mark.parametrize("header", [GATEWAY, f"Bearer {GATEWAY}"])
async def test_what_the_vendor_repeats_of_the_operators_headers_goes_no_further(
    header: str, number: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A gateway's secret is as secret as a key, with its scheme and without."""
    with structlog.testing.capture_logs() as logged:
        async with openai_workshop(headers={"X-Gateway": header}) as made:
            made.fake.answer_next(answers(GATEWAY)[number])
            last = (await made.workshop.run(drawing(MODEL, preview_count=1)))[-1]
            sent = made.fake.requests[0].headers["x-gateway"]
    assert isinstance(last, Broken)
    told = everything(last.error) + repr(last) + repr(logged) + caplog.text + "".join(capfd.readouterr())

    assert sent == header
    assert GATEWAY not in told


@pytest.mark.parametrize(
    ("values", "message", "told"),
    [
        (("12345678",), "No 12345678.", "openai: No ***."),
        (("1234567",), "No 1234567.", "openai: No 1234567."),
        (("", " ", "image", "Basic eA=="), "No image eA== or Basic.", "openai: No image eA== or Basic."),
        (("Basic dXNlcjpwdw==",), "Basic dXNlcjpwdw== and dXNlcjpwdw==", "openai: *** and ***"),
        (("shared-part", "shared-part-and-more"), "shared-part-and-more", "openai: ***"),
        (("sk-1234567-and-more",), "sk-1234567-and-more, sk-1234567", "openai: ***, ***"),
    ],
)
def test_values_of_headers_are_taken_out_of_a_message(values: tuple[str, ...], message: str, told: str) -> None:
    """Whole, and unless they are so short that the vendor may well mean something else."""
    context = ErrorContext("openai", "host", 400, {}, "", "sk-1234567", values)

    assert error_of_answer(context, json.dumps({"error": {"message": message}}).encode()).message == told


@pytest.mark.parametrize(
    ("prompt", "message", "told"),
    [
        ("a red boat", "Rejected: 'a red boat'.", "openai: Rejected: '(the prompt)'."),
        ("a red boat", "Rejected: 'a red bo...'.", "openai: Rejected: 'a red bo...'."),
        ("boat", "No boat today.", "openai: No boat today."),
        (PROMPT, f"Rejected: {PROMPT[:40]}...", "openai: Rejected: (the prompt)..."),
        (PROMPT, f"{PROMPT}{PROMPT[5:]} no", "openai: (the prompt)(the prompt) no"),
        ("x" * 30_000, "x" * 10_000 + "y", "openai: (the prompt)"),
        ("", "Prompt is empty.", "openai: Prompt is empty."),
    ],
)
def test_the_callers_words_are_taken_out_of_a_message(prompt: str, message: str, told: str) -> None:
    """All of them, or a longer part; a word or two may be there by chance."""
    context = ErrorContext("openai", "host", 400, {}, prompt, "sk-1234567")

    assert error_of_answer(context, json.dumps({"error": {"message": message}}).encode()).message == told


@pytest.mark.parametrize("length", [499, 10_000, 1_000_000])
def test_a_message_stays_short(length: int) -> None:
    """And no key shows where it is cut."""
    key = KEYS[1]
    context = ErrorContext("openai", "host", 500, {}, "", key)
    body = json.dumps({"error": {"message": "m" * (length - 10) + key * 3, "code": "c" * length}}).encode()

    error = error_of_answer(context, body)

    assert len(error.message) <= 520
    assert len(error.provider_code) <= 100
    assert key[:10] not in error.message


def test_what_is_read_with_is_not_shown() -> None:
    """The representation of the context of an error has no key, prompt or header; nor has that of a key."""
    context = ErrorContext("openai", "host", 500, {}, PROMPT, KEYS[0], (GATEWAY,))

    assert KEYS[0] not in f"{context!r} {Secret(KEYS[0])!r} {Secret(KEYS[0])}"
    assert "Ermintrude" not in repr(context)
    assert GATEWAY not in repr(context)

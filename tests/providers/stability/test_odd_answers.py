"""Whatever the vendor sends, it becomes an answer or an ImageError: nothing else comes out of the adapter."""

import json
import time
from typing import Any

import httpx
import structlog
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Complete, Progress, Report
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call, NoSettings
from imagegen_server.providers.stability.provider import Stability

from tests.support.pictures import png
from tests.support.stability_api import KEY
from tests.support.stability_provider import AT_ONCE

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**400, 0.04, float("inf"), float("nan")])
    | st.sampled_from(["", "SUCCESS", "CONTENT_FILTERED", "iVBORw0KGgo=", "in-progress", "bad_request", "not_found"])
    | st.sampled_from(
        ["seed: wrong", "model: wrong", "authorization: required", "a" * 64, "../x", "content_moderation"]
    )
    | st.text(max_size=20)
)
_KEYS = st.sampled_from("image finish_reason seed id status name errors message".split())  # noqa: SIM905 - to be read
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))
_OBJECTS = st.dictionaries(_KEYS, _JSON, max_size=6)
_HEADERS = st.dictionaries(
    st.sampled_from(["seed", "finish-reason", "x-request-id", "retry-after"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)


async def answered(*responses: httpx.Response) -> list[object]:
    """Run a task that gets these answers, the last one for ever; tells what came of it, the error last."""
    left = list(responses)

    def answer(_: httpx.Request) -> httpx.Response:
        now = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(now.status_code, headers=now.headers, content=now.content)

    http = HttpClient(HttpSettings("https://api.stability.ai"), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, Secret(KEY))
    task = Task(Operation.GENERATE, "core", "a boat", Options(count=1, preview_count=0))
    events: list[object] = []
    try:
        async for item in Stability("stability", NoSettings(), AT_ONCE).run(task, call):
            events.append(item)  # noqa: PERF401 - the error must not take the others away
    except ImageError as error:
        events.append(error)
    return events


def as_json(body: Any, status: int = 200) -> httpx.Response:
    """Make an answer of JSON."""
    return httpx.Response(status, headers={"content-type": "application/json"}, text=json.dumps(body))


def drawn() -> httpx.Response:
    """Make an answer that is a picture."""
    return httpx.Response(200, headers={"content-type": "image/png"}, content=png())


@given(body=_JSON, status=st.sampled_from([200, 202, 400, 401, 402, 403, 404, 413, 422, 429, 500, 503]))
async def test_any_json_is_understood_or_refused(body: Any, status: int) -> None:
    """Of success and of failure; behind it comes a picture."""
    told = await answered(as_json(body, status), drawn())

    assert all(isinstance(item, Report | Progress | Complete | ImageError) for item in told)
    assert isinstance(told[-1], Complete | ImageError)


@given(headers=_HEADERS, body=st.sampled_from([png(), png()[:20], b"", b"{}"]))
async def test_any_header_is_understood(headers: dict[str, str], body: bytes) -> None:
    """A seed is a whole number or not told; an end that is not known is no picture."""
    told = await answered(httpx.Response(200, headers={"content-type": "image/png", **headers}, content=body))

    assert isinstance(told[-1], Complete | ImageError)
    if isinstance(told[-1], Complete):
        assert told[-1].seed is None or 0 <= told[-1].seed < 2**63
        assert headers.get("finish-reason", "").strip() in {"", "SUCCESS"}


@given(bodies=st.lists(_OBJECTS, max_size=3), statuses=st.lists(st.sampled_from([200, 202, 404, 429, 500]), min_size=3))
async def test_any_answer_about_a_generation_is_understood_or_refused(
    bodies: list[dict[str, Any]], statuses: list[int]
) -> None:
    """Behind them comes a picture."""
    between = [as_json(body, status) for body, status in zip(bodies, statuses, strict=False)]
    for response in between:
        response.headers["retry-after"] = "0"
    told = await answered(as_json({"id": "a" * 64}), *between, drawn())

    assert isinstance(told[0], Progress)
    assert all(isinstance(item, Report | Progress | Complete | ImageError) for item in told)
    assert isinstance(told[-1], Complete | ImageError)

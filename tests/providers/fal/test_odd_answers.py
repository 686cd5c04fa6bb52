"""Whatever JSON the vendor sends, it becomes an answer or an ImageError: nothing else comes out of the adapter."""

import json
import time
from typing import Any

import httpx
import structlog
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.events import Complete, Failed, Preview, Progress, Report
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.polling import Pace
from imagegen_server.providers.base import Call

from tests.support.fal_api import COMPLETED, event
from tests.support.fal_provider import HERE, fal_provider
from tests.support.pictures import png

BASE_URL = "https://queue.fal.run"
AT_ONCE = Pace(first=0.0, factor=1.0, patience=0.0)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**400, 4.5, float("inf"), float("nan"), -1.5, 0.5])
    | st.sampled_from(["", "COMPLETED", "IN_QUEUE", "iVBORw0KGgo=", "data:image/png;base64,iVBORw0KGgo="])
    | st.sampled_from([f"{BASE_URL}/a/b/requests/1", "http://x", "//", "https://a b", "body", "prompt"])
    | st.text(max_size=20)
)
_KEYS = st.sampled_from(
    """request_id status queue_position response_url status_url cancel_url images image url seed seeds used_seed prompt
    has_nsfw_concepts nsfw_content_detected timings inference description progress detail loc msg type error error_type
    message revised_prompt logs metrics""".split()  # noqa: SIM905 - to be read
)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))
_OBJECTS = st.dictionaries(_KEYS, _JSON, max_size=6)
_STATUSES = st.sampled_from([200, 400, 401, 403, 404, 422, 429, 500, 503])
SUBMITTED = {"request_id": "r-1", "status": "IN_QUEUE"}


async def told_by(*answers: httpx.Response, previews: int = 0) -> list[object]:
    """Run a task that gets these answers, the last one for ever; tells what came of it, the error last."""
    left = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        said = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(said.status_code, headers=said.headers, content=said.content)

    async def fetch(url: str) -> bytes:
        assert url
        return png()

    provider, events = fal_provider(HERE, AT_ONCE), list[object]()
    http = HttpClient(HttpSettings(BASE_URL), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, fetch=fetch)
    task = Task(Operation.GENERATE, "fal-ai/flux/dev", "a boat", Options(count=2, preview_count=previews))
    try:
        async for item in provider.run(task, call):
            events.append(item)
    except ImageError as error:
        events.append(error)
    await provider.close()
    return events


def said(body: Any, status: int = 200) -> httpx.Response:
    """Say something as JSON, also what JSON does not know."""
    return httpx.Response(status, headers={"content-type": "application/json"}, text=json.dumps(body))


def check(told: list[object]) -> None:
    """See that everything can be told: events, whole numbers, finite numbers, and an error at the end alone."""
    for item in told:
        assert isinstance(item, Progress | Preview | Complete | Failed | Report | ImageError)
        if isinstance(item, Complete):
            assert item.seed is None or (type(item.seed) is int and abs(item.seed) < 2**63)
            assert item.revised_prompt is None or item.revised_prompt
        if isinstance(item, Report):
            json.dumps(item.metadata, allow_nan=False).encode()
        if isinstance(item, ImageError):
            assert isinstance(item.billed, Billed)
            assert item.message.isprintable()
    assert not any(isinstance(item, ImageError) for item in told[:-1])


@given(body=_JSON, status=_STATUSES)
async def test_any_answer_to_a_submission_is_understood_or_refused(body: Any, status: int) -> None:
    """Of success and of failure; behind it comes work that has failed."""
    told = await told_by(said(body, status), said({"status": "COMPLETED", "detail": "it failed"}, 200))

    check(told)
    assert isinstance(told[-1], ImageError)


@given(statuses=st.lists(_OBJECTS, max_size=2), body=_JSON, status=_STATUSES)
async def test_any_answer_about_work_is_understood_or_refused(statuses: list[Any], body: Any, status: int) -> None:
    """Statuses that are none, and any answer at the end."""
    last = said(COMPLETED | {"images": [{"url": "https://x.example/1.png"}] * 2})
    told = await told_by(said(SUBMITTED), *map(said, statuses), said(COMPLETED), said(body, status), last)

    check(told)


@given(bodies=st.lists(_JSON, max_size=4))
async def test_any_event_of_a_stream_is_understood_or_refused(bodies: list[Any]) -> None:
    """Behind them comes a picture, or a part of what was asked for."""
    last = {"images": [{"url": "https://x.example/1.png"}]}
    headers = {"content-type": "text/event-stream"}
    stream = b"".join(map(event, [*bodies, last]))
    told = await told_by(httpx.Response(200, headers=headers, content=stream), previews=3)

    check(told)
    assert isinstance(told[-1], ImageError)

"""Whatever JSON the vendor sends, it becomes an answer or an ImageError: nothing else comes out of the adapter."""

import json
import time
from typing import Any

import httpx
import structlog
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.events import Complete, Preview, Progress, Report
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call, NoSettings
from imagegen_server.providers.bfl.provider import BFL

from tests.support.bfl_provider import AT_ONCE
from tests.support.pictures import png

BASE_URL = "https://api.bfl.ai"
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**400, 4.5, float("inf"), float("nan"), -1.5, 0.5])
    | st.sampled_from(["", "Ready", "Error", "Content Moderated", "Pending", "task not found", "iVBORw0KGgo="])
    | st.sampled_from(["https://api.eu.bfl.ai/v1/get_result?id=1", "http://x", "//", "https://a b", "body"])
    | st.text(max_size=20)
)
_KEYS = st.just("Moderation Reasons") | st.sampled_from(
    """id polling_url cost input_mp output_mp status state result sample prompt seed duration progress preview details
    error message detail loc msg type retry_after url image data""".split()  # noqa: SIM905 - to be read
)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))
_OBJECTS = st.dictionaries(_KEYS, _JSON, max_size=6)
TASK = {"id": "t", "polling_url": f"{BASE_URL}/v1/get_result?id=t"}


async def answered(*bodies: Any, statuses: tuple[int, ...] = ()) -> list[object]:
    """Run a task that gets these answers, the last one for ever; tells what came of it, the error last."""
    left = list(zip([*statuses, *[200] * len(bodies)], bodies, strict=False))

    def answer(_: httpx.Request) -> httpx.Response:
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(status, headers={"content-type": "application/json"}, text=json.dumps(body))

    async def fetch(url: str) -> bytes:
        assert url
        return png()

    http = HttpClient(HttpSettings(BASE_URL), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, fetch=fetch)
    task = Task(Operation.GENERATE, "flux-2-pro", "a boat", Options(count=1, preview_count=2))
    events: list[object] = []
    try:
        async for item in BFL("bfl", NoSettings(), AT_ONCE).run(task, call):
            events.append(item)  # noqa: PERF401 - the error must not take the others away
    except ImageError as error:
        events.append(error)
    return events


@given(body=_JSON, status=st.sampled_from([200, 400, 402, 403, 404, 422, 429, 500]))
async def test_any_answer_to_a_submission_is_understood_or_refused(body: Any, status: int) -> None:
    """Of success and of failure; behind it comes a task that has failed."""
    told = await answered(body, {"status": "Error"}, statuses=(status,))

    assert isinstance(told[-1], ImageError)
    assert all(isinstance(item, Report) for item in told[:-1])


@given(bodies=st.lists(_OBJECTS, max_size=3))
async def test_any_answer_about_a_task_is_understood_or_refused(bodies: list[dict[str, Any]]) -> None:
    """Behind them comes a picture; a price is told as a number that is not negative, or not at all."""
    told = await answered(TASK, *bodies, {"status": "Ready", "result": {"sample": "https://x.bfl.ai/1.png"}})

    assert all(isinstance(item, Report | Progress | Preview | Complete | ImageError) for item in told)
    assert isinstance(told[-1], Complete | ImageError)
    for item in told:
        if isinstance(item, Report) and item.usage and item.usage.cost:
            assert 0 <= item.usage.cost.amount < 10**9
        if isinstance(item, ImageError):
            assert isinstance(item.billed, Billed)

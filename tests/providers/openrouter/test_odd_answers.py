"""Whatever JSON the vendor sends, it becomes an answer or an ImageError: nothing else comes out of the adapter."""

import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import structlog
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Complete, Failed, Preview, Progress, Report
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call, NoSettings
from imagegen_server.providers.openrouter import PROVIDER
from imagegen_server.providers.openrouter.models import models_of

from tests.support.openrouter_api import event
from tests.support.openrouter_package import BASE_URL

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**400, 0.04, float("inf"), float("nan"), -1.5, 429, 403, 502])
    | st.sampled_from(
        ["", "429", "image_generation.completed", "image_generation.partial_image", "error", "iVBORw0KGgo="]
    )
    | st.sampled_from(["invalid_image", "not_found", '{"error":{"message":"flagged","code":7,"param":"size[0]"}}', "["])
    | st.text(max_size=20)
)
_KEYS = st.sampled_from(
    """error message code type param metadata raw error_type reasons flagged_input headers retry_after_seconds
    X-RateLimit-Reset Retry-After data b64_json url media_type usage cost is_byok cost_details upstream_inference_cost
    prompt_tokens completion_tokens completion_tokens_details phase model id name supported_parameters architecture
    input_modalities supports_streaming n input_references quality values min max""".split()  # noqa: SIM905 - to be read
)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))
_OBJECTS = st.dictionaries(_KEYS, _JSON, max_size=6)


async def answered(response: httpx.Response) -> list[object]:
    """Run a task that gets this response; tells what came of it, the error last."""
    provider = PROVIDER.build("openrouter", NoSettings())
    http = HttpClient(HttpSettings(BASE_URL), httpx.MockTransport(lambda _: response))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http)
    task = Task(Operation.GENERATE, "acme/paint", "a boat", Options(count=2, preview_count=0))
    events: list[object] = []
    try:
        async for item in provider.run(task, call):
            events.append(item)  # noqa: PERF401 - the error must not take the others away
    except ImageError as error:
        events.append(error)
    return events


@given(body=_JSON, status=st.sampled_from([200, 400, 403, 404, 429, 500, 524]))
async def test_any_json_is_understood_or_refused(body: Any, status: int) -> None:
    """Of success and of failure."""
    told = await answered(httpx.Response(status, headers={"content-type": "application/json"}, text=json.dumps(body)))

    assert told
    assert all(isinstance(item, Report | Complete | Failed | ImageError) for item in told)


@given(bodies=st.lists(_OBJECTS, max_size=4))
async def test_any_stream_is_understood_or_refused(bodies: list[dict[str, Any]]) -> None:
    """Whatever its events hold."""
    stream = b"".join(event(body) for body in bodies)
    told = await answered(httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream))

    assert all(isinstance(item, Report | Complete | Preview | Progress | ImageError) for item in told)
    assert isinstance(told[-1], Complete | ImageError)


@given(entries=st.lists(_OBJECTS.map(lambda entry: {"id": "a/b"} | entry), max_size=3))
def test_any_list_is_read_or_refused(entries: list[Mapping[str, Any]]) -> None:
    """With limits that are whole numbers, if there are any."""
    with contextlib.suppress(KeyError, TypeError):
        for model in models_of({"data": entries}):
            limits = (model.capabilities.max_images, model.capabilities.max_input_images)
            assert all(limit is None or limit >= 0 for limit in limits)

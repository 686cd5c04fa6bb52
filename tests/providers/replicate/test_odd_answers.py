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
from imagegen_server.providers.replicate.inputs import Inputs, inputs_in

from tests.support.pictures import png
from tests.support.replicate_provider import replicate_provider

BASE_URL = "https://api.replicate.com/v1"
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**400, 4.5, float("inf"), float("nan"), -1.5, 0.5])
    | st.sampled_from(
        ["", "succeeded", "failed", "aborted", "starting", "custom", "data:image/png;base64,iVBORw0KGgo="]
    )
    | st.sampled_from(
        ["https://replicate.delivery/1.png", "http://x", " 50%|##  | 2/4 [", "seed: 9", "NSFW content detected"]
    )
    | st.sampled_from(["#/components/schemas/Input", "string", "array", "1024x1024", "2K", "jpg", "auto", "input.seed"])
    | st.text(max_size=20)
)
_KEYS = st.sampled_from(
    """id status output error logs metrics version urls get cancel detail title invalid_fields field description type
    predict_time images image url owner name latest_version openapi_schema components schemas Input Output properties
    required enum allOf $ref maximum maxItems prompt size seed width height output_format aspect_ratio mask
    input_images retry_after visibility""".split()  # noqa: SIM905 - to be read
)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))
_OBJECTS = st.dictionaries(_KEYS, _JSON, max_size=6)
CREATED = {"id": "p1", "status": "starting", "urls": {"get": f"{BASE_URL}/predictions/p1"}}
DONE = {"id": "p1", "status": "succeeded", "output": "https://replicate.delivery/1.png"}


async def answered(*bodies: Any, status: int = 200, model: str = "black-forest-labs/flux-schnell") -> list[object]:
    """Run a task that gets these answers, the last one for ever; tells what came of it, the error last."""
    left = list(zip([status, *[200] * len(bodies)], bodies, strict=False))

    def answer(_: httpx.Request) -> httpx.Response:
        code, body = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(code, headers={"content-type": "application/json"}, text=json.dumps(body))

    async def fetch(url: str) -> bytes:
        assert url
        return png()

    http = HttpClient(HttpSettings(BASE_URL), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, fetch=fetch)
    task = Task(Operation.GENERATE, model, "a boat", Options(count=1, preview_count=2))
    provider = replicate_provider(pace=Pace(first=0, longest=0.001))
    events: list[object] = []
    try:
        async for item in provider.run(task, call):
            events.append(item)  # noqa: PERF401 - the error must not take the others away
    except ImageError as error:
        events.append(error)
    await provider.close()
    return events


@given(body=_JSON, status=st.sampled_from([200, 400, 401, 402, 403, 404, 422, 429, 500]))
async def test_any_answer_to_a_creation_is_understood_or_refused(body: Any, status: int) -> None:
    """Of success and of failure; behind it comes a prediction that has failed."""
    told = await answered(body, {"status": "failed"}, status=status)

    assert isinstance(told[-1], ImageError | Complete | Failed)
    assert all(isinstance(item, Report | Progress | Preview | Complete | Failed) for item in told[:-1])


@given(bodies=st.lists(_OBJECTS, max_size=3))
async def test_any_answer_about_a_prediction_is_understood_or_refused(bodies: list[dict[str, Any]]) -> None:
    """Behind them comes a picture."""
    told = await answered(CREATED, *bodies, DONE)

    assert isinstance(told[-1], Complete | Failed | ImageError)
    for item in told:
        assert isinstance(item, Report | Progress | Preview | Complete | Failed | ImageError)
        if isinstance(item, ImageError):
            assert isinstance(item.billed, Billed)


@given(document=_JSON)
async def test_any_document_of_a_model_is_understood_or_passed_over(document: Any) -> None:
    """Whatever inputs it tells, something is made of every wish."""
    told = await answered({"latest_version": {"openapi_schema": document}}, CREATED, DONE, model="some/model")

    assert isinstance(told[-1], Complete | Failed | ImageError)


@given(properties=_OBJECTS, required=_JSON)
def test_any_inputs_have_capabilities(properties: dict[str, Any], required: Any) -> None:
    """They can be told, and nothing is raised."""
    schema = {"properties": properties, "required": required}
    inputs = inputs_in({"components": {"schemas": {"Input": schema}}}, public=True)
    assert (inputs is None) == (not properties)
    assert not isinstance(inputs, Inputs) or inputs.capabilities().options is not None

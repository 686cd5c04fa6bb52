"""Whatever JSON the vendor sends, it becomes an answer or an ImageError: nothing else comes out of the adapter."""

import json
import time
from typing import Any

import httpx
import structlog
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Complete, Report
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call
from imagegen_server.providers.bedrock import BedrockSettings
from imagegen_server.providers.bedrock.provider import Bedrock

from tests.support.bedrock_api import KEY, REGION

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**400, 0.04, float("inf"), float("nan")])
    | st.sampled_from(
        ["", "Filter reason: prompt", "Inference error", "iVBORw0KGgo=", '{"detail":"a"}', "{", "INTERVENED"]
    )
    | st.sampled_from(
        ["ThrottlingException:http://x/", "com.x#ValidationException", "Invalid field 'seed' in request."]
    )
    | st.text(max_size=20)
)
_KEYS = st.sampled_from(
    """images seeds finish_reasons message Message error detail code __type amazon-bedrock-guardrailAction Output
    modelSummaries inferenceProfileSummaries nextToken modelId models modelArn modelLifecycle endOfLifeTime
    inferenceTypesSupported inferenceProfileId modelName""".split()  # noqa: SIM905 - to be read
)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))
_STATUSES = st.sampled_from([200, 400, 403, 404, 408, 424, 429, 500, 503])


def client(body: Any, status: int) -> HttpClient:
    """Make a client that gets this answer to everything."""
    response = httpx.Response(status, headers={"content-type": "application/json"}, text=json.dumps(body))
    return HttpClient(HttpSettings("http://127.0.0.1:9"), httpx.MockTransport(lambda _: response))


@given(body=_JSON, status=_STATUSES)
async def test_any_json_is_understood_or_refused(body: Any, status: int) -> None:
    """Of success and of failure."""
    provider = Bedrock("bedrock", BedrockSettings(REGION))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, client(body, status), Secret(KEY))
    task = Task(Operation.GENERATE, "stability.stable-image-core-v1:1", "a boat", Options(count=1, preview_count=0))
    told: list[object] = []
    try:
        async for item in provider.run(task, call):
            told.append(item)  # noqa: PERF401 - the error must not take the others away
    except ImageError as error:
        told.append(error)

    assert all(isinstance(item, Report | Complete | ImageError) for item in told)
    assert isinstance(told[-1], Complete | ImageError)


@given(body=st.dictionaries(_KEYS, _JSON, max_size=4), status=_STATUSES)
async def test_any_list_is_read_or_refused(body: dict[str, Any], status: int) -> None:
    """The same answer to both questions."""
    provider = Bedrock("bedrock", BedrockSettings(REGION))
    try:
        models = await provider.list_models(
            client({"modelSummaries": [], "inferenceProfileSummaries": []} | body, status), Secret(KEY)
        )
    except ImageError:
        return
    assert all(model.id and model.known for model in models)

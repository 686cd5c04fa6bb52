"""A fake of OpenAI's image models on Azure on a loopback port, with both styles of URLs and both kinds of credentials.

What is asked for is checked as strictly as by the fake OpenAI; the rest is as the vendor's reference and users of the
real one tell it. The official package's AzureOpenAI is held against it in tests/providers/azure.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote

from .openai_checks import Order, read_edit, read_generation
from .openai_wire import events, images_body
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, event_answer, json_answer, running

KEY = "azure-test-key-0123456789abcdef"
TOKEN = "eyJ0eXAiOiJKV1Qi.entra-test-token.0123456789"
DEPLOYMENTS: Mapping[str, str] = {
    "pictures": "gpt-image-2",
    "art/late": "gpt-image-2.6-flare",
    "old": "gpt-image-1.5",
    "gpt-image-2": "gpt-image-2",
}
"""The models of the deployments that there are."""

_DEPLOYED = re.compile(r"/openai/deployments/([^/]+)/images/(generations|edits)")
_V1 = re.compile(r"/openai/v1/images/(generations|edits)")
_FIRST_WITH_EDITS = "2025-04-01-preview"
_VERSION = re.compile(r"20\d\d-\d\d-\d\d(?:-preview)?")
_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}


def refused(status: int, message: str, code: str | None = None) -> RefusalError:
    """Refuse as the vendor does: with the status as a string where it has no better code."""
    return RefusalError(status, {"error": {"code": code or str(status), "message": message}})


class FakeAzure(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say."""

    def __init__(self, prefix: str) -> None:
        """Know one key, one token and some deployments."""
        super().__init__(prefix)
        self._numbers = count(1)

    @property
    def endpoint(self) -> str:
        """The resource's address, as the portal shows it."""
        return self.base_url.removesuffix(self.prefix) + "/"

    def headers(self) -> dict[str, str]:
        """See FakeVendor."""
        number = next(self._numbers)
        return {"apim-request-id": f"apim-{number}", "x-request-id": f"other-{number}", "x-ms-region": "Sweden Central"}

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        _check_credentials(call)
        order = _order(call)
        if order.stream:
            return event_answer(*(() if checks_only else events(order)))
        return json_answer(200, {} if checks_only else _with_filters(images_body(order)))


def _check_credentials(call: RecordedRequest) -> None:
    key, authorization = call.headers.get("api-key"), call.headers.get("authorization")
    if key is not None and authorization is not None:
        raise refused(400, "One kind of credentials is enough.")
    if key is not None and key != KEY:
        message = (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for"
            " an active subscription and use a correct regional API endpoint for your resource."
        )
        raise refused(401, message)
    # The newer URLs take the key where OpenAI's own package puts it, too.
    bearers = {f"Bearer {TOKEN}"} | ({f"Bearer {KEY}"} if _V1.fullmatch(call.path) else set())
    if key is None and authorization not in bearers:
        message = (
            "Unauthorized. Access token is missing, invalid, audience is incorrect"
            " (https://cognitiveservices.azure.com), or have expired."
        )
        raise refused(401, message)


def _order(call: RecordedRequest) -> Order:
    query = dict(parse_qsl(call.query))
    version = query.pop("api-version", "")
    deployed, plain = _DEPLOYED.fullmatch(call.path), _V1.fullmatch(call.path)
    if query or call.method != "POST" or not (deployed or plain):
        raise refused(404, "Resource not found")
    if plain:
        if version not in ("", "v1", "preview"):
            raise refused(400, "API version not supported", "BadRequest")
        read = {"generations": read_generation, "edits": read_edit}[plain[1]]
        return _read(read, call, DEPLOYMENTS)
    assert deployed is not None
    if not _VERSION.fullmatch(version) or (deployed[2] == "edits" and version < _FIRST_WITH_EDITS):
        raise refused(404, "Resource not found")
    read = {"generations": read_generation, "edits": read_edit}[deployed[2]]
    name = unquote(deployed[1])
    return _read(read, call, {name: DEPLOYMENTS[name]} if name in DEPLOYMENTS else {})


def _read(read: Any, call: RecordedRequest, deployments: Mapping[str, str]) -> Order:
    try:
        order: Order = read(call, deployments)
    except RefusalError as refusal:
        if json.loads(json.dumps(refusal.body))["error"]["code"] != "model_not_found":
            raise
        message = (
            "The API deployment for this resource does not exist. If you created the deployment within the last 5"
            " minutes, please wait a moment and try again."
        )
        raise refused(404, message, "DeploymentNotFound") from None
    return order


def _with_filters(body: dict[str, Any]) -> dict[str, Any]:
    prompt = {**_SAFE, "jailbreak": {"detected": False, "filtered": False}}
    data = [item | {"content_filter_results": _SAFE, "prompt_filter_results": prompt} for item in body["data"]]
    return body | {"data": data}


@asynccontextmanager
async def fake_azure(prefix: str = "/openai/v1") -> AsyncIterator[FakeAzure]:
    """Run a fake until the block ends; "/openai" is the prefix of the older URLs. Calls that hang then are cut off."""
    async with running(FakeAzure(prefix)) as fake:
        yield fake

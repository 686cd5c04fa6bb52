"""The vendor's own list of image models, with the OpenAPI document of each: `GET /models` of its Platform APIs.

Source: fal.ai/docs, platform-apis/v1/models; the documents have the form that fal.ai/api/openapi serves.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure

from .errors import REQUEST_ID, error_of_answer
from .exchange import key_header
from .inputs import MODEL_ID, Inputs
from .schema import inputs_in

_CATEGORIES = ("text-to-image", "image-to-image")
_MOST_LIST_BYTES = 64 * 1024 * 1024
_MOST_PAGES = 100
_STREAM = "/stream"


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list says of a model. `inputs` None = its fields cannot be told. `streams`: a path of it is listed."""

    display_name: str
    inputs: Inputs | None
    streams: bool = False


async def listed_models(
    provider: str, http: HttpClient, api_url: str, domains: Collection[str], key: str
) -> Mapping[str, Listed]:
    """Read the list, page by page.

    :raises ImageError: what the vendor said, or what happened to the connection
    """
    found: dict[str, Listed] = {}
    for category in _CATEGORIES:
        cursor = ""
        for _ in range(_MOST_PAGES):
            query = {"category": category, "status": "active", "expand": "openapi-3.0"}
            url = f"{api_url}/models?{urlencode(query | ({'cursor': cursor} if cursor else {}))}"
            page = await _page(provider, http, url, domains, key)
            found |= dict(page.models)
            if not page.next_cursor or page.next_cursor == cursor:
                break
            cursor = page.next_cursor
    streaming = {model_id.removesuffix(_STREAM) for model_id in found if model_id.endswith(_STREAM)}
    return {
        model_id: Listed(listed.display_name, listed.inputs, streams=model_id in streaming)
        for model_id, listed in found.items()
        if not model_id.endswith(_STREAM)
    }


@dataclass(frozen=True, slots=True)
class _Page:
    models: Sequence[tuple[str, Listed]]
    next_cursor: str


async def _page(provider: str, http: HttpClient, url: str, domains: Collection[str], key: str) -> _Page:
    there, path = http.at(url, domains)
    async with there.get(path, key_header(key)) as answer:
        context = ErrorContext(
            provider, there.host, answer.status, answer.headers, "", key, http.header_values, REQUEST_ID
        )
        if not answer.ok:
            raise error_of_answer(context, await read_failure(answer), accepted=False)
        return _read(context, await answer.read(_MOST_LIST_BYTES))


def _read(context: ErrorContext, body: bytes) -> _Page:
    try:
        payload = json.loads(body)
        models = list(_models(context, payload["models"]))
        cursor = payload.get("next_cursor")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise context.invalid("a list of models that cannot be read") from None
    return _Page(models, cursor if isinstance(cursor, str) and cursor == context.name(cursor) else "")


def _models(context: ErrorContext, entries: object) -> Iterator[tuple[str, Listed]]:
    if not isinstance(entries, list):
        raise TypeError("no list")
    for entry in entries:
        model_id, facts = entry["endpoint_id"], entry.get("metadata")
        name = facts.get("display_name") if isinstance(facts, Mapping) else None
        if isinstance(model_id, str) and MODEL_ID.fullmatch(model_id):
            yield model_id, Listed(context.name(name) if isinstance(name, str) else "", inputs_in(entry.get("openapi")))

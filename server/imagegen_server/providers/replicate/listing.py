"""What the vendor says of models: those of its collections, and the inputs of each.

Source: the HTTP reference (collections.get, models.get, models.versions.get).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagegen_server.domain.errors import Billed
from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.http.json_schema import as_object

from .errors import error_of_answer, text_of
from .inputs import Inputs, inputs_in
from .prediction import key_header
from .settings import MODEL_ID, VERSION_ID

_MOST_BYTES = 64 * 1024 * 1024
_SCHEMA = "openapi_schema"


@dataclass(frozen=True, slots=True)
class Listed:
    """What the vendor says of a model. `inputs` None = its inputs are not told there."""

    model_id: str
    inputs: Inputs | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The vendor's own account of its models. `provider` is the configured name."""

    provider: str
    http: HttpClient
    key: str

    async def collection(self, slug: str) -> list[Listed]:
        """List the models of a collection.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        context, payload = await self._get(f"/collections/{slug}")
        models = payload.get("models")
        if not isinstance(models, list):
            raise context.invalid("a collection without models")
        return list(_models(models))

    async def model(self, model_id: str) -> Listed:
        """Ask what the inputs of a model, or of one of its versions, are. It costs nothing.

        :raises ImageError: as `collection`
        """
        name, _, version = model_id.partition(":")
        _, model = await self._get(f"/models/{name}" + (f"/versions/{version}" if version else ""))
        if version:
            # A version does not tell whether its model is public.
            return Listed(model_id, inputs_in(model.get(_SCHEMA), public=False))
        return Listed(model_id, _latest(model))

    async def _get(self, path: str) -> tuple[ErrorContext, Mapping[str, object]]:
        async with self.http.get(path, key_header(self.key)) as answer:
            context = ErrorContext(
                self.provider, self.http.host, answer.status, answer.headers, "", self.key, self.http.header_values
            )
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            body = await answer.read(_MOST_BYTES)
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            payload = None
        if not isinstance(payload, Mapping):
            raise context.invalid("something about models that cannot be read").with_billed(Billed.NO)
        return context, payload


def _models(models: list[object]) -> Iterator[Listed]:
    for model in map(as_object, models):
        model_id = f"{text_of(model.get('owner'))}/{text_of(model.get('name'))}"
        if MODEL_ID.fullmatch(model_id):
            yield Listed(model_id, _latest(model))


def _latest(model: Mapping[str, object]) -> Inputs | None:
    """Read the inputs of the latest version. Only an official model is run without naming it."""
    latest = as_object(model.get("latest_version"))
    version = text_of(latest.get("id")) if model.get("is_official") is False else ""
    return inputs_in(
        latest.get(_SCHEMA),
        public=model.get("visibility") == "public",
        version=version if VERSION_ID.fullmatch(version) else "",
    )

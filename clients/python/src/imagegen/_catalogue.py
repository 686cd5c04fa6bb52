"""Which models there are and what they can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from imagegen._connection import Connection
from imagegen._reason import reason_from_number
from imagegen._rpc import answer
from imagegen._times import time_in
from imagegen.v1 import model_service_pb2

PreviewSupport: TypeAlias = Literal["unknown", "none", "progress", "images"]
"""What can be shown while a model works."""

_PREVIEWS: Final[Mapping[int, PreviewSupport]] = {
    model_service_pb2.PREVIEW_SUPPORT_NONE: "none",
    model_service_pb2.PREVIEW_SUPPORT_PROGRESS: "progress",
    model_service_pb2.PREVIEW_SUPPORT_IMAGES: "images",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a model can do. None = unknown; an empty tuple = any value, or unknown."""

    generate: bool | None = None
    """Draws from words."""
    streaming: bool | None = None
    """The provider itself streams. `stream()` works for every model that draws."""
    edit: bool | None = None
    """Changes images."""
    max_images: int | None = None
    """Images in one provider request; more are asked for in several."""
    max_count: int | None = None
    """Largest `count` that the server takes."""
    max_input_images: int | None = None
    """Input images of one edit."""
    mask: bool | None = None
    """Edits with a mask."""
    previews: PreviewSupport = "unknown"
    """What can be shown while it works."""
    options: tuple[str, ...] = ()
    """Names of the `ImageOptions` that are honoured."""
    sizes: tuple[str, ...] = ()
    """Values of `size`."""
    aspect_ratios: tuple[str, ...] = ()
    """Values of `aspect_ratio`."""
    resolutions: tuple[str, ...] = ()
    """Values of `resolution`."""
    qualities: tuple[str, ...] = ()
    """Values of `quality`."""
    backgrounds: tuple[str, ...] = ()
    """Values of `background`."""
    formats: tuple[str, ...] = ()
    """Values of `format`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model of the server."""

    name: str
    """ "provider/model"."""
    provider: str
    """The provider's name in the server's configuration."""
    display_name: str
    """For people. Empty = none."""
    aliases: tuple[str, ...]
    """Aliases that try it first."""
    known: bool
    """False: an id that the server has never seen. It can be used all the same."""
    capabilities: Capabilities
    """What it can do; all unknown if the server does not know."""
    retire_time: datetime | None
    """When the provider ends it, in UTC. None = not announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableProvider:
    """A provider whose models could not be listed."""

    provider: str
    """Its name in the server's configuration."""
    reason: str
    """A `Reason`, or the text of one that this client does not know."""


class AsyncModelList:
    """The models that the caller may use, ordered by name. Each iteration asks the server anew, page by page."""

    def __init__(self, connection: Connection, provider: str, timeout: float | None) -> None:
        """Ask for the models of `provider`, or of all if it is empty. Lists are made by the client."""
        self._connection = connection
        self._provider = provider
        self._timeout = timeout
        self._unreachable: tuple[UnreachableProvider, ...] = ()

    @property
    def unreachable(self) -> tuple[UnreachableProvider, ...]:
        """Providers whose models are missing from the pages read so far. Known from the first model on."""
        return self._unreachable

    async def __aiter__(self) -> AsyncGenerator[ModelInfo, None]:
        """Each model.

        Raises:
            ImageGenError: a page could not be had.
        """
        request = model_service_pb2.ListModelsRequest(provider=self._provider)
        while True:
            call = self._connection.call(self._connection.models.ListModels, request, self._timeout)
            page = await answer(call, free=True)
            self._unreachable = tuple(
                UnreachableProvider(provider=item.provider, reason=reason_from_number(item.reason))
                for item in page.unreachable
            )
            for model in page.models:
                yield _model_from_proto(model)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


async def get_model(connection: Connection, name: str, limit: float | None) -> ModelInfo:
    """One model, or the first candidate of an alias, within `limit` seconds.

    Raises:
        ImageGenError: MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
    """
    request = model_service_pb2.GetModelRequest(model=name)
    found = await answer(connection.call(connection.models.GetModel, request, limit), free=True)
    return _model_from_proto(found.model)


def _model_from_proto(model: model_service_pb2.Model) -> ModelInfo:
    return ModelInfo(
        name=model.name,
        provider=model.provider,
        display_name=model.display_name,
        aliases=tuple(model.aliases),
        known=model.known,
        capabilities=_capabilities_from_proto(model.capabilities),
        retire_time=time_in(model, "retire_time"),
    )


def _capabilities_from_proto(told: model_service_pb2.ModelCapabilities) -> Capabilities:
    return Capabilities(
        generate=told.generate if told.HasField("generate") else None,
        streaming=told.streaming if told.HasField("streaming") else None,
        edit=told.edit if told.HasField("edit") else None,
        max_images=told.max_images if told.HasField("max_images") else None,
        max_count=told.max_count if told.HasField("max_count") else None,
        max_input_images=told.max_input_images if told.HasField("max_input_images") else None,
        mask=told.mask if told.HasField("mask") else None,
        previews=_PREVIEWS.get(told.previews, "unknown"),
        options=tuple(told.options),
        sizes=tuple(told.sizes),
        aspect_ratios=tuple(told.aspect_ratios),
        resolutions=tuple(told.resolutions),
        qualities=tuple(told.qualities),
        backgrounds=tuple(told.backgrounds),
        formats=tuple(told.formats),
    )

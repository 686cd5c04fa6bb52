"""The provider: a wish handed on to another imagegen server, and all that it tells."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar

import imagegen

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Task
from imagegen_server.providers.base import Call, Listing, SelfConnected, Unsent

from .connections import Connections
from .errors import error_of, reason_of
from .models import model_of, models_of, unknown_model
from .reading import Reading
from .request import Inputs, check, fitted, settings_of, unsent
from .settings import ImagegenSettings

_MOST_IMAGES = 16
"""Images in one request to a server that was not asked how many it takes."""


class Imagegen(SelfConnected):
    """Another imagegen server. It makes its own requests, and repeats them as it is configured to."""

    uses_image_metadata: ClassVar[bool] = True

    def __init__(self, name: str, settings: ImagegenSettings) -> None:
        """Take the configured name, and where the other server is; nothing is sent.

        :raises ValueError, OSError: as Connections
        """
        self._name = name
        self._settings = settings
        self._connections = Connections(settings)

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return unknown_model(model_id)

    async def models(self) -> Sequence[Model]:
        """See Provider."""
        return ()

    async def fetch_models(self, key: Secret | None) -> Listing:
        """See SelfConnected."""
        listed = self._connections.with_token(key).models()
        try:
            models = [model async for told in listed for model in models_of(told)]
            return Listing(models, {one.provider: reason_of(one.reason) for one in listed.unreachable})
        except imagegen.ImageGenError as error:
            raise error_of(error, self._name) from None

    async def fetch_model(self, model_id: str, key: Secret | None) -> Model:
        """See SelfConnected."""
        try:
            return model_of(await self._connections.with_token(key).model(model_id), model_id)
        except imagegen.ImageGenError as error:
            raise error_of(error, self._name) from None

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        check(task, self._name)
        return fitted(task, self._name)

    def images_per_request(self, task: Task) -> int:
        """See Provider: all of them; the other server divides them as its provider needs it."""
        return max(task.count, _MOST_IMAGES)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Hand the task on, and tell what the other server tells. Leaving stops it there."""
        client = self._connections.with_token(call.key)
        try:
            stream = await self._begin(client, task, call)
        except imagegen.ImageGenError as error:
            raise error_of(error, self._name) from None
        except ValueError as problem:
            raise ImageError(Reason.INVALID_REQUEST, f"{self._name} cannot be asked: {problem}") from None
        reading = Reading(client, stream, call, self._name)
        try:
            async with aclosing(reading.events()) as events:
                async for event in events:
                    yield event
        finally:
            await reading.stop()

    async def _begin(self, client: imagegen.AsyncClient, task: Task, call: Call) -> imagegen.AsyncImageStream:
        if task.operation is Operation.GENERATE:
            return client.stream(task.model, task.prompt, **settings_of(task, call))
        inputs = Inputs(client, task, self._name)
        images = [await inputs.give(image) for image in task.images]
        mask = await inputs.give(task.mask) if task.mask else None
        settings = settings_of(task, call, [*images, *([mask] if mask else [])])
        return client.stream_edit(task.model, task.prompt, images=images, mask=mask, **settings)

    def unsent(self, task: Task, call: Call) -> Unsent:  # noqa: ARG002 - nothing of it is shown
        """See SelfConnected."""
        return unsent(task, self._settings.address, secure=self._settings.secure)

    async def close(self) -> None:
        """See Provider."""
        await self._connections.close()

"""The provider: a wish handed on to another imagegen server, and all that it tells."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import ClassVar

import imagegen

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Failed, ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Task
from imagegen_server.providers.base import Call, Listing, SelfConnected, Unsent

from .answer import complete_of, failed_of, preview_of, progress_of, report_of, report_of_failure
from .connections import Connections
from .errors import error_of, reason_of
from .models import model_of, models_of, unknown_model
from .request import Inputs, check, settings_of, unsent
from .settings import ImagegenSettings

_MOST_IMAGES = 16
"""Images in one request to a server that was not asked how many it takes."""

_STOP_SECONDS = 2.0
"""How long the other server may take to hear that it shall stop."""


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
        return task, ()

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
        ended = False
        try:
            relay = _Relay(stream, call, self._name)
            async for event in relay.events():
                yield event
            ended = True
        finally:
            if not ended:
                await _stop(stream)

    async def _begin(self, client: imagegen.AsyncClient, task: Task, call: Call) -> imagegen.AsyncImageStream:
        settings = settings_of(task, call)
        if task.operation is Operation.GENERATE:
            return client.stream(task.model, task.prompt, **settings)
        inputs = Inputs(client, task, self._name)
        images = [await inputs.give(image) for image in task.images]
        mask = await inputs.give(task.mask) if task.mask else None
        return client.stream_edit(task.model, task.prompt, images=images, mask=mask, **settings)

    def unsent(self, task: Task, call: Call) -> Unsent:  # noqa: ARG002 - nothing of it is shown
        """See SelfConnected."""
        return unsent(task, self._settings.address, secure=self._settings.secure)

    async def close(self) -> None:
        """See Provider."""
        await self._connections.close()


class _Relay:
    """Reads a generation of the other server."""

    def __init__(self, stream: imagegen.AsyncImageStream, call: Call, here: str) -> None:
        self._stream = stream
        self._call = call
        self._here = here
        self._held: list[Failed] | None = []
        """Images that failed before anything was shown: until then the whole may be done again or elsewhere."""

    async def events(self) -> AsyncGenerator[ProviderEvent, None]:
        """Tell what it tells.

        :raises ImageError: no image came, or no further one will
        """
        last: ProviderEvent | None = None
        try:
            async for told in self._stream:
                for event in self._read(told):
                    if event != last:  # heartbeats repeat the last news
                        yield event
                    last = event
            result = await self._stream.result()
        except imagegen.ImageGenError as error:
            if error.attempts or error.usage:
                yield report_of_failure(error, self._here)
            for failed in self._one_by_one():
                yield failed
            raise error_of(error, self._here) from None
        self._call.accepted(self._stream.generation_id)
        yield report_of(result, self._here)
        for failed in self._held or ():
            yield failed

    def _read(self, told: imagegen.ImageEvent) -> list[ProviderEvent]:
        match told:
            case imagegen.Progress():
                return [progress_of(told, self._here)]
            case imagegen.Preview():
                return [*self._shown(), preview_of(told)]
            case imagegen.Complete():
                return [*self._shown(), complete_of(told.image)]
            case imagegen.Failed():
                failed = failed_of(told.failure, self._here)
                if self._held is None:
                    return [failed]
                self._held.append(failed)
        return []

    def _shown(self) -> list[Failed]:
        """Note that something is shown; returns the failures that were held back until then."""
        self._call.accepted(self._stream.generation_id)
        held, self._held = self._held or [], None
        return held

    def _one_by_one(self) -> list[Failed]:
        """Tell of each image why it will not come, where they do not all have the same reason."""
        held = self._held or []
        return held if len({(failed.error.reason, failed.error.message) for failed in held}) > 1 else []


async def _stop(stream: imagegen.AsyncImageStream) -> None:
    """Tell the other server to stop. It goes on being told when nobody waits for it any more."""
    with suppress(imagegen.ImageGenError, TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await stream.abort()

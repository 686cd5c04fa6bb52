"""Reading a generation of the other server, also over a way that breaks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import imagegen

from imagegen_server.domain.events import Failed, ProviderEvent
from imagegen_server.providers.base import Call

from .answer import complete_of, failed_of, preview_of, progress_of, report_of, report_of_failure
from .errors import broke, error_of, says_nothing_of_it
from .request import seconds_left

_STOP_SECONDS = 2.0
"""How long the other server may take to hear that it shall stop."""


class Reading:
    """A generation that was begun at the other server.

    If the way breaks it is read on by the client, which goes on trying for about ten seconds. The wish itself is never
    sent again: a server that was started anew would buy it a second time. Where there never was a connection there is
    nothing to come back to, and what is tried next can be tried at once.
    """

    def __init__(self, client: imagegen.AsyncClient, stream: imagegen.AsyncImageStream, call: Call, here: str) -> None:
        """Take over what was just begun. `here` is our name of the other server."""
        self._client = client
        self._stream = stream
        self._call = call
        self._here = here
        self._sequence = 0
        self._over = False
        self._held: list[Failed] | None = []
        """Images that failed before anything was shown: until then the whole may be done again or elsewhere."""

    async def events(self) -> AsyncGenerator[ProviderEvent, None]:
        """Tell what it tells.

        :raises ImageError: no image came, or no further one will
        """
        last: ProviderEvent | None = None
        try:
            async with aclosing(self._told()) as news:
                async for told in news:
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
            self._over = error.billed == "no"
            raise error_of(error, self._here) from None
        self._over = True
        self._call.accepted(self._stream.generation_id)
        yield report_of(result, self._here)
        for failed in self._held or ():
            yield failed

    async def stop(self) -> None:
        """Tell the other server to stop, unless it has come to an end. It is told also when nobody waits for that."""
        if self._over:
            return
        with suppress(imagegen.ImageGenError, TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._stream.abort()

    async def _told(self) -> AsyncGenerator[imagegen.ImageEvent, None]:
        broken: imagegen.ImageGenError | None = None
        while True:
            try:
                async for told in self._stream:
                    self._sequence = self._stream.last_sequence
                    yield told
                return
            except imagegen.ImageGenError as error:
                if broken is not None and says_nothing_of_it(error):
                    raise broken from None
                if broken is not None or not broke(error):
                    raise
                broken = error
            self._stream = self._read_on()

    def _read_on(self) -> imagegen.AsyncImageStream:
        """Go on behind what was told. What it had told of an image is not lost: images come one after the other."""
        generation_id = self._stream.generation_id
        return self._client.resume(
            generation_id or None,
            request_id=None if generation_id else self._stream.request_id,
            after_sequence=self._sequence,
            timeout=seconds_left(self._call),
        )

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

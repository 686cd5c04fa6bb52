"""Looking at our own task while the server works on it, and calling it off."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Preview, Progress, ProviderEvent
from imagegen_server.domain.json import JsonObject
from imagegen_server.http.client import Answer, HttpClient
from imagegen_server.http.image_json import ImageJson, parse_image_json

from .progress import PICTURE_KEYS, ROUTE, TASK_ROUTE, Seen, of_server, of_task

_INTERRUPT = "/sdapi/v1/interrupt"
_QUESTION_SECONDS = 10.0
_MOST_BYTES = 32 * 1024 * 1024
"""Of an answer with a preview in it."""

_NOT_THERE = frozenset({401, 403, 404, 405, 501})
"""Statuses of a route that a server does not have, or not for us."""

_FORGOTTEN_AFTER = 600.0
"""Seconds until a route that was not there is looked for again: the server may have been updated."""

_STRANGE = 3
"""So many times in a row a server that does not know our task is asked before it is left alone."""


@dataclass
class Routes:
    """Which routes a server does not have. One object for all tasks, so that two are never asked at once.

    `last_picture` is the digest of the picture that was last told of whatever runs: a server may still tell it of the
    task before.
    """

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    last_picture: bytes = b""
    _missing: dict[str, float] = field(default_factory=dict)

    def has(self, path: str) -> bool:
        """Tell whether a route is there, or was not looked for."""
        return time.monotonic() >= self._missing.get(path, 0.0)

    def lacks(self, path: str) -> None:
        """Remember that a route is not there."""
        self._missing[path] = time.monotonic() + _FORGOTTEN_AFTER

    @property
    def tell(self) -> bool:
        """Tell whether the server says anything while it works, as far as is known."""
        return self.has(TASK_ROUTE) or self.has(ROUTE)


@dataclass(frozen=True)
class Pace:
    """Seconds between two questions: while previews are wanted, and while they are not.

    `costly` times as long where the server decodes a picture at each question, wanted or not.
    """

    previews: float
    progress: float
    costly: float = 4.0


@dataclass
class Watch:
    """Looks at one task. `alone` tells whether whatever runs can be nobody's but this task's.

    `accepted`: the server has been seen to have taken the task on.
    """

    http: HttpClient
    headers: Mapping[str, str] = field(repr=False)
    routes: Routes
    task_id: str
    alone: Callable[[], bool]
    accepted: bool = False
    costly: bool = False
    _picture_id: int = -1
    _named: bool = False
    _silent: bool = False

    @property
    def blind(self) -> bool:
        """Tell whether nothing can be learned of the task."""
        return not self.routes.has(TASK_ROUTE) and (self._silent or not self.routes.has(ROUTE))

    async def look(self, *, picture: bool) -> Seen:
        """Ask once how far the task is; what cannot be read tells nothing. `picture`: with what it looks like."""
        async with self.routes.turn:
            seen = await self._ask_after_task(picture=picture)
            if seen is not None and (seen.ours is not False or seen.ended):
                return seen
            if not self.routes.has(ROUTE) or self._silent or (seen is not None and not self.alone()):
                return seen or Seen()
            return await self._ask_server(picture=picture)

    async def _ask_after_task(self, *, picture: bool) -> Seen | None:
        """Ask by the id of the task; None = the server has no such route."""
        if not self.routes.has(TASK_ROUTE):
            return None
        body: JsonObject = {"id_task": self.task_id, "id_live_preview": self._picture_id, "live_preview": picture}
        payload = await self._read(self.http.post_json(TASK_ROUTE, body, self.headers))
        seen = of_task(payload) if payload is not None else Seen(ours=None)
        if seen is None:
            self.routes.lacks(TASK_ROUTE)
        elif seen.picture:
            self._picture_id = seen.picture_id
        return seen

    async def _ask_server(self, *, picture: bool) -> Seen:
        """Ask what runs. Its picture is asked for only when it can be ours."""
        picture = picture and (self._named or self.alone())
        skip = "false" if picture else "true"
        payload = await self._read(self.http.get(f"{ROUTE}?skip_current_image={skip}", self.headers))
        if payload is None:
            return Seen()
        seen = of_server(payload, self.task_id)
        if seen is None:
            self.routes.lacks(ROUTE)
            return Seen()
        self.costly = seen.costly
        self._named = seen.ours is True
        if seen.ours is None and not self.alone():
            # It does not tell whose work that is. Nothing is gained by asking again.
            self._silent = self._silent or seen.running
            return Seen()
        if seen.ours is False:
            return Seen(ours=False)
        ours = seen.ours or (True if seen.running else None)
        progress = seen.progress if ours else None
        return Seen(ours, seen.taken, seen.running, progress=progress, picture=self._fresh(seen.picture))

    def _fresh(self, picture: bytes) -> bytes:
        """Take a picture that was not told before; empty = it was."""
        digest = blake2b(picture, digest_size=16).digest()
        if not picture or digest == self.routes.last_picture:
            return b""
        self.routes.last_picture = digest
        return picture

    async def _read(self, exchange: AbstractAsyncContextManager[Answer]) -> Mapping[str, ImageJson] | None:
        """Read an answer; empty = it is none that such a server gives, None = nobody knows, it may come next time."""
        try:
            async with asyncio.timeout(_QUESTION_SECONDS), exchange as answer:
                if answer.status in _NOT_THERE:
                    return {}
                if not answer.ok:
                    return None
                payload = parse_image_json(await answer.read(_MOST_BYTES), PICTURE_KEYS)
        except TimeoutError:
            return None
        except ImageError as trouble:
            return {} if trouble.reason is Reason.INVALID_RESPONSE else None
        return payload if isinstance(payload, Mapping) else {}

    async def call_off(self, wait: float) -> None:
        """Interrupt the task if it is at work, or comes to be: a server works on for somebody who has left.

        What cannot be seen to be ours is not touched. `wait` in seconds between two looks.

        :raises ImageError: the server does not let itself be interrupted
        """
        strange = 0
        while not self.blind and strange < _STRANGE:
            seen = await self.look(picture=False)
            if seen.ended:
                return
            if seen.ours and seen.running:
                async with self.http.send_empty("POST", _INTERRUPT, self.headers) as answer:
                    if not answer.ok:
                        raise ImageError(Reason.PROVIDER_ERROR, f"{self.http.host} answered {answer.status}")
                return
            strange = 0 if seen.taken else strange + 1
            await asyncio.sleep(wait)


async def developing(
    main: "asyncio.Task[Any]", watch: Watch, pace: Pace, previews: int, accepted: Callable[[], None]
) -> AsyncGenerator[ProviderEvent, None]:
    """Tell how far the task is until `main`, the call that is answered when it is done, has ended.

    Only that tells the end: a server may look idle before its answer has been written. The previews that are wanted
    are spread over the time that it takes. `accepted` is called when the server is seen to have taken the task on.
    """
    shown, last = 0, Progress()
    while not watch.blind:
        wanted = shown < previews
        delay = (pace.previews if wanted else pace.progress) * (pace.costly if watch.costly and not wanted else 1.0)
        await asyncio.wait({main}, timeout=delay)
        seen = None if main.done() else await _unless(main, watch.look(picture=wanted))
        if seen is None:
            return
        if seen.taken or seen.ours:
            accepted()
        if seen.progress is not None and seen.progress != last:
            last = seen.progress
            yield last
        if wanted and seen.picture and (last.fraction is None or last.fraction >= shown / previews):
            shown += 1
            yield Preview(0, seen.picture)
    await asyncio.wait({main})


async def _unless(main: "asyncio.Task[Any]", look: Any) -> Seen | None:
    """Wait for what is seen; None = `main` has ended before anything was."""
    looking = asyncio.ensure_future(look)
    try:
        await asyncio.wait({main, looking}, return_when=asyncio.FIRST_COMPLETED)
        return looking.result() if looking.done() else None
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

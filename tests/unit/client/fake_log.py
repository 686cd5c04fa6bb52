"""A generation's log at a scripted server: bought once for each request_id, read by anybody from anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import grpc
from imagegen.v1 import image_service_pb2

from tests.unit.client.fake_server import (
    CHUNK,
    Context,
    Event,
    FakeServer,
    Wish,
    complete,
    failure,
    picture,
    preview,
    progress,
    result,
    started,
)

LARGE = picture(2 * CHUNK + 1000)
SMALL = picture(500, salt=1)
Break = Callable[[Context], Awaitable[None]]


def numbered(events: Sequence[Event]) -> list[Event]:
    """The events with their places in the log; progress repeats the last one, as a heartbeat does."""
    sequence = 0
    for event in events:
        sequence += 0 if event.HasField("progress") and sequence else 1
        event.sequence = sequence
    return list(events)


def long_log() -> list[Event]:
    """Everything that a stream can have: previews, news, two images in pieces, one that failed."""
    return numbered(
        [
            started(),
            progress(),
            *preview(picture(CHUNK + 5, salt=2)),
            *preview(picture(77, salt=3), number=2),
            *complete(LARGE),
            progress(),
            *complete(SMALL, index=1),
            Event(failure=failure(2)),
            result(LARGE, SMALL, failures=[failure(2)]),
        ]
    )


def broken(code: grpc.StatusCode) -> Break:
    """A break as the transport or a proxy words it."""

    async def end(context: Context) -> None:
        await context.abort(code, "the line broke")

    return end


async def silent(_context: Context) -> None:
    """An end in good order where none is due."""


@dataclass
class FakeLog:
    """What stands behind StreamGenerate and Resume of `server`."""

    server: FakeServer
    events: list[Event]
    breaks: list[int]
    """After how many events each RPC in turn breaks. RPCs beyond the list do not."""
    end: Break = field(default_factory=lambda: broken(grpc.StatusCode.UNAVAILABLE))
    bought: set[str] = field(default_factory=set)
    """The request ids."""
    anonymous: int = 0
    """Purchases without one: each RPC is a new one."""
    resumed_after: list[int] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an RPC has come to its break."""

    def __post_init__(self) -> None:
        """Stand behind the server."""
        self.server.stream = self._start
        self.server.resume = self._resume

    @property
    def purchases(self) -> int:
        """Generations that were bought."""
        return len(self.bought) + self.anonymous

    async def _start(self, request: Wish, context: Context) -> AsyncIterator[Event]:
        if request.request_id:
            self.bought.add(request.request_id)
        else:
            self.anonymous += 1
        async for event in self._read(0, context):
            yield event

    async def _resume(self, request: image_service_pb2.ResumeRequest, context: Context) -> AsyncIterator[Event]:
        self.resumed_after.append(request.after_sequence)
        async for event in self._read(request.after_sequence, context):
            yield event

    async def _read(self, after: int, context: Context) -> AsyncIterator[Event]:
        # The last one comes to everybody, also to who has seen it.
        rest = [event for event in self.events if event.sequence > after or event is self.events[-1]]
        if not self.breaks:
            for event in rest:
                yield event
            return
        for event in rest[: self.breaks.pop(0)]:
            yield event
        self.reached.set()
        await self.end(context)

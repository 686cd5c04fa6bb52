"""Tasks for the sandbox, and what comes of them."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from imagegen_server.domain.events import Complete, Failed, Preview, Progress, ProviderEvent, Report
from imagegen_server.domain.image import ImageFacts, InputImage
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.images.facts import read_facts
from imagegen_server.providers.base import Call
from imagegen_server.providers.sandbox import PROVIDER, SandboxSettings
from imagegen_server.providers.sandbox.provider import Sandbox
from numpy.typing import NDArray
from PIL import Image

SMALL = PixelSize(64, 48)

EventT = TypeVar("EventT")


class Silence:
    """A log that keeps nothing."""

    def info(self, event: str, **facts: object) -> object:
        """Forget it."""

    def debug(self, event: str, **facts: object) -> object:
        """Forget it."""


@dataclass
class Seen:
    """What a run of the sandbox gave, in order, and the request ids it accepted."""

    events: list[ProviderEvent] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    events_before_accepted: int | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, kind: type[ProviderEvent], count: int = 1) -> None:
        """Wait until so many events of a kind have come."""
        async with asyncio.timeout(10):
            while len(self.of(kind)) < count:
                self.news.clear()
                await self.news.wait()

    def of(self, kind: type[EventT]) -> list[EventT]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def kinds(self) -> list[str]:
        """What happened, without progress, with the index: "preview 0"."""
        return [f"{type(event).__name__.lower()} {event.index}" for event in self._pictures()]

    def _pictures(self) -> list[Preview | Complete | Failed]:
        return [event for event in self.events if isinstance(event, Preview | Complete | Failed)]

    @property
    def images(self) -> list[bytes]:
        """The finished pictures."""
        return [event.data for event in self.of(Complete)]

    @property
    def image(self) -> bytes:
        """The only one."""
        (data,) = self.images
        return data

    @property
    def report(self) -> Report:
        """The last word."""
        (report,) = self.of(Report)
        return report

    @property
    def fractions(self) -> list[float]:
        """How far each progress said the work was."""
        return [event.fraction for event in self.of(Progress) if event.fraction is not None]


def task(
    model: str = "scene",
    prompt: str = "a harbour at dawn",
    *,
    images: tuple[bytes, ...] = (),
    mask: bytes | None = None,
    params: Mapping[str, Any] | None = None,
    **options: Any,
) -> Task:
    """A task for one small picture, unless told otherwise."""
    defaults: dict[str, Any] = {"count": 1, "preview_count": 0}
    if not images and not options.keys() & {"aspect_ratio", "resolution", "size"}:
        defaults["size"] = SMALL
    return Task(
        Operation.EDIT if images else Operation.GENERATE,
        model,
        prompt,
        Options(**defaults | options),
        tuple(_input(data) for data in images),
        _input(mask) if mask else None,
        params or {},
    )


def sandbox(**settings: int) -> Sandbox:
    """A sandbox of its own, under the name "box"."""
    provider = PROVIDER.build("box", SandboxSettings(**settings))
    assert isinstance(provider, Sandbox)
    return provider


@asynccontextmanager
async def running(**settings: int) -> AsyncIterator[Sandbox]:
    """A sandbox that is closed in the end."""
    provider = sandbox(**settings)
    try:
        yield provider
    finally:
        await provider.close()


async def run(wanted: Task, seen: Seen | None = None, number: int = 1) -> Seen:
    """Prepare and run a task to its end, as attempt `number`. What comes before an error is kept in `seen`."""
    seen = seen or Seen()
    async with running() as provider:
        await watch(provider, wanted, seen, number)
    return seen


async def watch(provider: Sandbox, wanted: Task, seen: Seen, number: int = 1) -> None:
    """Prepare and run a task on a sandbox that stays open."""

    def accepted(request_id: str) -> None:
        seen.accepted.append(request_id)
        seen.events_before_accepted = len(seen.events)

    prepared, _ = provider.prepare(wanted)
    deadline = asyncio.get_running_loop().time() + 60
    async for event in provider.run(prepared, Call(deadline, Silence(), accepted, number=number)):
        seen.events.append(event)
        seen.news.set()


def pixels(data: bytes) -> NDArray[np.int16]:
    """The pixels of a picture, as Pillow reads them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image).astype(np.int16)


def file(image: Image.Image, kind: str = "PNG") -> bytes:
    """Write a picture."""
    target = io.BytesIO()
    image.save(target, kind)
    return target.getvalue()


def _input(data: bytes) -> InputImage:
    return InputImage(data, read_facts(data) or ImageFacts("application/octet-stream", None, None, alpha=False))

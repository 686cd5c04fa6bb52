"""A provider whose every move a test decides."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.events import Complete, Preview, ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call, Provider

from .pictures import png

Script = Callable[[Task, Call], AsyncGenerator[ProviderEvent, None]]

ABLE = Capabilities(
    generate=True,
    streaming=True,
    edit=True,
    max_images=4,
    max_count=8,
    max_input_images=4,
    mask=True,
    previews=PreviewSupport.IMAGES,
    max_previews=4,
    options=frozenset({"size", "seed", "format", "quality", "negative_prompt"}),
    formats=("png", "jpeg", "webp"),
)

TEN_TIMES_THE_PROMISE = 1.0
"""Leaving reaches the provider within 100 ms; a test gives it ten times that."""


async def draw_all(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Yield one small picture for each that is wanted."""
    call.accepted("provider-request-1")
    for index in range(task.count):
        yield Complete(index, png(8, 8, shade=index))


async def never(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Show a preview and then nothing, for ever."""
    call.accepted("")
    yield Preview(0, png(8, 8))
    await asyncio.Event().wait()


async def first_only(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Finish the first picture and never the others."""
    yield Complete(0, png(8, 8))
    await asyncio.Event().wait()


@dataclass
class ScriptedProvider(Provider):
    """Runs the script of the test and remembers what it was asked."""

    script: Script = draw_all
    capabilities: Capabilities = ABLE
    known_models: Sequence[Model] = ()
    tasks: list[Task] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the generator of any task has been closed or has ended."""
    list_slowly: Callable[[], Awaitable[Sequence[Model]]] | None = None

    param_options = {"n": "count", "seed": "seed", "size": "size"}  # noqa: RUF012 - the declaration of the base class
    controlled_params = frozenset({"model", "prompt"})

    def model(self, model_id: str) -> Model:
        """Know every model but "unknown"."""
        listed = [model for model in self.known_models if model.id == model_id]
        return listed[0] if listed else Model(model_id, self.capabilities, known=model_id != "unknown")

    async def models(self) -> Sequence[Model]:
        """List what the test says."""
        return await self.list_slowly() if self.list_slowly else self.known_models

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """Take every task."""
        return replace(task), ()

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Follow the script."""
        self.tasks.append(task)
        try:
            async for event in self.script(task, call):
                yield event
        finally:
            self.closed.set()

"""The provider: an order drawn step by step, with the trouble that was asked for."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from hashlib import blake2b
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call, Provider

from .models import SCRIPTS, find_model
from .order import Order, decided, order_of, trouble_of
from .settings import SandboxSettings
from .work import Work
from .workers import Workers


class Sandbox(Provider):
    """Draws landscapes, and makes the trouble that a model's name or params ask for."""

    param_options: ClassVar[Mapping[str, str]] = {"n": "count", "size": "size", "seed": "seed"}
    controlled_params: ClassVar[frozenset[str]] = frozenset({"model", "prompt", "stream", "image", "mask"})

    def __init__(self, name: str, settings: SandboxSettings) -> None:
        """Take the configured name and the limits; threads start with the first picture."""
        self._name = name
        self._settings = settings
        self._workers = Workers(settings.workers)

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """See Provider."""
        return [find_model(model_id) for model_id in SCRIPTS]

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """Check everything, and decide the seed and the size if none is given.

        :raises ImageError: MODEL_NOT_FOUND, INVALID_REQUEST
        """
        order, warnings = order_of(task, trouble_of(task, self._name), self._settings)
        return decided(task, order), warnings

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Draw the pictures one after the other.

        :raises ImageError: as scripted
        """
        trouble = trouble_of(task, self._name).in_attempt(call.number)
        order, _ = order_of(task, trouble, self._settings)
        work = Work(task, order, trouble, _request_id(order))
        await asyncio.sleep(trouble.delay)
        work.refuse()
        call.accepted(work.request_id)
        async with aclosing(work.run(self._workers)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """See Provider."""
        await self._workers.close()


def _request_id(order: Order) -> str:
    text = f"{order.prompt}\0{order.seed}\0{order.size}"
    return f"sandbox-{blake2b(text.encode(), digest_size=8).hexdigest()}"

"""A script for a provider that finishes when it is told to."""

import asyncio
from collections.abc import AsyncGenerator

from imagegen_server.domain.events import Complete, Preview, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from .pictures import noisy_png, png

LARGE = noisy_png(700, 500)
"""Some chunks long."""


class Gated:
    """Shows a preview, and finishes its pictures when it is told to."""

    def __init__(self, data: bytes = LARGE) -> None:
        """Make every picture of these bytes."""
        self.go_on = asyncio.Event()
        self.data = data

    async def __call__(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Draw."""
        call.accepted("provider-request-1")
        yield Preview(0, png(8, 8, shade=1))
        await self.go_on.wait()
        for index in range(task.count):
            yield Complete(index, self.data)

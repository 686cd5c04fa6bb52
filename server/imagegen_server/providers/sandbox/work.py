"""One task on its way: pictures drawn one after the other, at the wanted pace, until trouble strikes."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.events import Complete, Failed, Preview, Progress, ProviderEvent, Report
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import Usage
from imagegen_server.domain.task import Task

from .failures import scripted_error
from .order import Order, next_seed
from .trouble import Trouble
from .workers import Stop, Workers

if TYPE_CHECKING:
    from .drawing import Drawing

_TICKS = 20
"""News of each picture, about, while it is stretched to some `duration`."""

_SHORTEST_TICK, _LONGEST_TICK = 0.01, 5.0
"""Seconds between two of them."""


@dataclass(frozen=True, slots=True)
class Work:
    """A task with everything decided. A picture is made in steps: each of its previews, then the picture itself."""

    task: Task
    order: Order
    trouble: Trouble
    request_id: str

    def refuse(self) -> None:
        """Raise what a provider would answer before it takes the task on: failures that certainly cost nothing."""
        trouble = self.trouble
        if trouble.fail and trouble.fail_index is None and not trouble.is_late:
            error = self._error(accepted=False)
            if error.billed is Billed.NO:
                raise error

    async def run(self, workers: Workers) -> AsyncGenerator[ProviderEvent, None]:
        """Draw every picture of the task."""
        clock = asyncio.get_running_loop().time
        start, pictures = clock(), 0
        steps = self.task.preview_count + 1
        pace = self.trouble.duration / (steps * self.task.count)
        tick = min(max(pace * steps / _TICKS, _SHORTEST_TICK), _LONGEST_TICK)
        for index in range(self.task.count):
            seed = next_seed(self.order.seed, index)
            drawing: Drawing | None = None
            for step in range(steps):
                yield Progress(index=index, fraction=step / steps, step=step, steps=steps)
                await self._strike(index, step)
                if self._fails(index, step):
                    error = self._error(accepted=True)
                    if not pictures and index + 1 == self.task.count:
                        raise error
                    yield Failed(index, error)
                    break
                if drawing is None:
                    drawing = await workers.run(partial(_begin, self.order, seed))
                is_last = step + 1 == steps
                data = await workers.run(drawing.final if is_last else partial(drawing.preview, step + 1, steps - 1))
                due = start + pace * (index * steps + step + 1)
                while (left := due - clock()) > 0:
                    share = min(max(1 - left / pace, 0.0), 1.0)
                    yield Progress(index=index, fraction=(step + share) / steps, step=step, steps=steps)
                    await asyncio.sleep(min(left, tick))
                if not is_last:
                    yield Preview(index, data)
                elif self.trouble.spoil != "empty":
                    pictures += 1
                    yield self._complete(index, seed, data, drawing.words)
        await self._strike(self.task.count, 0)
        yield Report(Usage(images_generated=pictures), {"request_id": self.request_id})

    def _complete(self, index: int, seed: int, data: bytes, words: list[str]) -> Complete:
        size = self.order.size
        metadata: JsonObject = {
            "media_type": f"image/{self.order.format}",
            "width": size.width,
            "height": size.height,
            "words": [*words],
        }
        return Complete(index, data, self.trouble.revised_prompt, seed, metadata)

    async def _strike(self, index: int, step: int) -> None:
        """Let the trouble of the whole task happen, if this is where it was asked for."""
        trouble = self.trouble
        if (index, step) != (min(trouble.fail_after_images or 0, self.task.count), self._step_of_trouble(index)):
            return
        if trouble.crash:
            raise RuntimeError("scripted: a fault in an adapter")
        if trouble.stall:
            await asyncio.Event().wait()
        if trouble.fail and trouble.fail_index is None:
            raise self._error(accepted=True)

    def _fails(self, index: int, step: int) -> bool:
        """This picture alone fails, now."""
        return index in (self.trouble.fail_index or ()) and step == self._step_of_trouble(index)

    def _step_of_trouble(self, index: int) -> int:
        if index == self.task.count:
            return 0
        return min(self.trouble.fail_after_previews or 0, self.task.preview_count)

    def _error(self, *, accepted: bool) -> ImageError:
        trouble = self.trouble
        if trouble.fail is None:
            raise AssertionError("no failure was asked for")
        return scripted_error(
            trouble.fail,
            request_id=self.request_id,
            retry_after=trouble.retry_after,
            stage=trouble.stage,
            sent=trouble.sent,
            accepted=accepted,
        )


def _begin(order: Order, seed: int, _stop: Stop) -> "Drawing":
    """In a thread: the first time, numpy and Pillow are imported."""
    from .drawing import Drawing  # noqa: PLC0415 - see above

    return Drawing(order, seed)

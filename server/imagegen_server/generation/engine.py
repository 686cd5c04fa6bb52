"""What an RPC can ask of this room."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.events import Started
from imagegen_server.domain.result import StoredImage, Warning
from imagegen_server.domain.task import Wish
from imagegen_server.providers.registry import Registry

from .admission import Admission, estimate_image_bytes
from .generation import Generation
from .ids import Ids
from .log import Log
from .plan import Plan, Planner
from .runner import run_generation
from .store import ImageStore

SHORTEST_DEADLINE_SECONDS = 1.0
"""A call with less time than this left is refused before anything is spent."""

ANSWER_SECONDS = 0.25
"""So long before the caller's deadline a generation ends, so that what is finished still reaches the caller."""

_DRAIN_POLL_SECONDS = 0.05


class Engine:
    """Opens generations, runs them, and hands out images."""

    def __init__(
        self, *, registry: Registry, planner: Planner, store: ImageStore, admission: Admission, ids: Ids
    ) -> None:
        """Be wired by the app."""
        self.registry = registry
        self.planner = planner
        self._store = store
        self._admission = admission
        self._ids = ids
        self._runs: dict[asyncio.Task[None], Generation] = {}
        self._draining = False

    async def open(
        self,
        wish: Wish,
        caller: str,
        time_left: float | None,
        violations: Sequence[Violation] = (),
        warnings: Sequence[Warning] = (),
    ) -> Generation:
        """Admit and plan a generation. It stands in the log as started, and nothing is spent before `launch`.

        `time_left` is what the caller's deadline leaves, in seconds; None = no deadline. `violations` and `warnings`
        are what reading the request has found already.

        :raises ImageError: SHUTTING_DOWN, SERVER_BUSY, DEADLINE_TOO_SHORT, or as Planner.plan
        """
        self._require_serving()
        arrival = time.monotonic()
        ticket = self._admission.admit(wish.input_bytes)
        try:
            plan = await self.planner.plan(wish, violations, warnings)
            if time_left is not None:
                _require_time(arrival + time_left - time.monotonic(), plan)
            images_bytes = estimate_image_bytes(plan.task) * plan.task.count
            ticket.grow(images_bytes)
            reservation = await self._store.reserve(images_bytes)
        except BaseException:
            ticket.release()
            raise
        try:
            # Planning may have waited for its turn.
            self._require_serving()
            if time_left is not None:
                _require_time(arrival + time_left - time.monotonic(), plan)
        except ImageError:
            reservation.release()
            ticket.release()
            raise
        generation = Generation(
            id=self._ids.new("gen"),
            request_id=self._ids.new("req"),
            caller=caller,
            plan=plan,
            log=Log(on_preview_dropped=lambda size: ticket.add(-size)),
            ticket=ticket,
            reservation=reservation,
            start_time=time.monotonic(),
            deadline=None if time_left is None else arrival + time_left - ANSWER_SECONDS,
        )
        generation.log.append(Started(generation.id, generation.request_id, plan.model, plan.warnings))
        return generation

    def _require_serving(self) -> None:
        if self._draining:
            raise ImageError(Reason.SHUTTING_DOWN, "this server is stopping and takes no new work")

    def launch(self, generation: Generation) -> None:
        """Start spending. The generation runs by itself from here on."""
        task = asyncio.create_task(run_generation(generation, self._store))
        self._runs[task] = generation
        task.add_done_callback(self._runs.pop)

    def discard(self, generation: Generation) -> None:
        """Give up a generation that was opened and never launched."""
        generation.reservation.release()
        generation.ticket.release()

    async def image(self, caller: str, image_id: str) -> tuple[StoredImage, bytes]:
        """Look up a finished image.

        :raises ImageError: IMAGE_NOT_FOUND, WRONG_INSTANCE
        """
        return await self._store.get(caller, image_id)

    @contextmanager
    def reading_image(self) -> Iterator[None]:
        """Count a caller who reads an image among the calls in hand; its bytes are in the store's count already.

        :raises ImageError: SERVER_BUSY
        """
        ticket = self._admission.admit(0)
        try:
            yield
        finally:
            ticket.release()

    def delivered(self, image_id: str) -> None:
        """Note that the caller has received the whole image."""
        self._store.delivered(image_id)

    async def drain(self, seconds: float) -> None:
        """Take no new work; wait until what runs has ended and what is finished was read, at most `seconds`.

        What still runs then is stopped, and its readers are told.
        """
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Three counters in three rooms, looked at only while stopping, are not worth three events.
                while self._runs or self._admission.calls or self._store.undelivered:  # noqa: ASYNC110
                    await asyncio.sleep(_DRAIN_POLL_SECONDS)
        for generation in self._runs.values():
            generation.stop(ImageError(Reason.CANCELLED, "the server is stopping and could not wait any longer"))
        if self._runs:
            await asyncio.wait(list(self._runs))

    @property
    def unread_images(self) -> int:
        """Finished images that nobody has received yet."""
        return self._store.undelivered


def _require_time(time_left: float, plan: Plan) -> None:
    if time_left >= SHORTEST_DEADLINE_SECONDS:
        return
    raise ImageError(
        Reason.DEADLINE_TOO_SHORT,
        f"{max(time_left, 0):.2f} s of the deadline are left; it takes at least {SHORTEST_DEADLINE_SECONDS:g} s",
        metadata={"model": plan.model},
    )

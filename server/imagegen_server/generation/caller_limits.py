"""How much a caller may use."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import ImageError, Reason

from .generation import do_nothing

WINDOW_SECONDS = 60.0
"""Images asked for count for so long."""


class CallerLimits(Protocol):
    """Counts the calls that each caller has in hand, and the images that it asked for in the last minute."""

    async def admit(self, caller: Caller) -> Callable[[], None]:
        """Take a call in hand; returns what ends it, which may be called twice.

        :raises ImageError: CALLER_LIMIT_EXCEEDED
        """

    async def ask_for(self, caller: Caller, images: int) -> None:
        """Count images that a call in hand asks for. They count for a minute from now, however the call ends.

        :raises ImageError: CALLER_LIMIT_EXCEEDED, with a wait where one is known; STORE_UNAVAILABLE
        """


@dataclass(slots=True)
class _Use:
    calls: int = 0
    images: int = 0
    """Of the last minute."""
    asked: deque[tuple[float, int]] = field(default_factory=deque)
    """When how many images were asked for, oldest first."""

    def forget(self, until: float) -> None:
        while self.asked and self.asked[0][0] <= until:
            self.images -= self.asked.popleft()[1]

    def wait(self, over: int, now: float) -> float:
        """Tell in how many seconds so many images more will be older than a minute."""
        for asked_at, count in self.asked:
            over -= count
            if over <= 0:
                return asked_at + WINDOW_SECONDS - now
        return 0.0


class OwnCallerLimits:
    """The limits of a process that serves alone. See CallerLimits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing in hand. `clock` tells seconds."""
        self._clock = clock
        self._uses: dict[str, _Use] = {}
        """By caller, of those that have a limit: no more than the operator has written down."""

    async def admit(self, caller: Caller) -> Callable[[], None]:
        """Take a call in hand. It is done in one step: no other call comes between."""
        if caller.max_calls is None and caller.images_per_minute is None:
            return do_nothing
        use = self._uses.setdefault(caller.name, _Use())
        if caller.max_calls is not None and use.calls >= caller.max_calls:
            raise too_many_calls(caller, use.calls)
        use.calls += 1
        left = [use]

        def release() -> None:
            if left:
                left.pop().calls -= 1

        return release

    async def ask_for(self, caller: Caller, images: int) -> None:
        """Count images, in one step, too."""
        if not images or caller.images_per_minute is None:
            return
        use, now = self._uses.setdefault(caller.name, _Use()), self._clock()
        use.forget(now - WINDOW_SECONDS)
        over = use.images + images - caller.images_per_minute
        if over > 0:
            raise too_many_images(caller, images, use.images, use.wait(over, now))
        use.images += images
        use.asked.append((now, images))


def too_many_calls(caller: Caller, calls: int) -> ImageError:
    """Refuse one more beside so many."""
    return ImageError(
        Reason.CALLER_LIMIT_EXCEEDED,
        f"{calls} calls of caller {caller.name} are in hand, and it may have {caller.max_calls} at a time",
    )


def too_many_images(caller: Caller, images: int, asked: int, wait: float) -> ImageError:
    """Refuse `images` beside those that were `asked` for. After `wait` seconds there would be room for them."""
    limit = caller.images_per_minute
    assert limit is not None
    if images > limit:
        return ImageError(
            Reason.CALLER_LIMIT_EXCEEDED,
            f"{images} images at once are more than the {limit} that caller {caller.name} may ask for in a minute",
        )
    return ImageError(
        Reason.CALLER_LIMIT_EXCEEDED,
        f"caller {caller.name} asked for {asked} images within a minute, and may ask for {limit}; "
        f"this call wants {images}",
        retry_after=wait,
    )

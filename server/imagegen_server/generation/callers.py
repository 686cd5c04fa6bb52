"""What a caller may use, and how much of it."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import ImageError, Reason

_WINDOW_SECONDS = 60.0


def may_use(caller: Caller, asked: str, model: str) -> bool:
    """Tell whether a caller may use a model.

    `asked` is the name in the request, which may be an alias, `model` is what it means, "provider/model". Either of the
    two may be what the operator has allowed.
    """
    if caller.models is None:
        return True
    return any(fnmatchcase(name, pattern) for pattern in caller.models for name in (asked, model))


def may_use_provider(caller: Caller, provider: str) -> bool:
    """Tell whether a caller may use any model of a provider. An alias may mean any."""
    if caller.models is None:
        return True
    return any("/" not in pattern or fnmatchcase(provider, pattern.partition("/")[0]) for pattern in caller.models)


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


class CallerLimits:
    """Counts the calls that each caller has in hand, and the images that it asked for in the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing in hand. `clock` tells seconds."""
        self._clock = clock
        self._uses: dict[str, _Use] = {}
        """By caller, of those that have a limit: no more than the operator has written down."""

    def admit(self, caller: Caller, images: int) -> Callable[[], None]:
        """Take a call that asks for `images` in hand; returns what ends it, which may be called twice.

        The images count for a minute from now, however the call ends. A call that only reads asks for none.

        :raises ImageError: CALLER_LIMIT_EXCEEDED, with a wait where one is known
        """
        if caller.max_calls is None and caller.images_per_minute is None:
            return _nothing
        use = self._uses.setdefault(caller.name, _Use())
        if caller.max_calls is not None and use.calls >= caller.max_calls:
            raise ImageError(
                Reason.CALLER_LIMIT_EXCEEDED,
                f"{use.calls} calls of caller {caller.name} are in hand, and it may have {caller.max_calls} at a time",
            )
        self.ask_for(caller, images)
        use.calls += 1
        left = [use]

        def release() -> None:
            if left:
                left.pop().calls -= 1

        return release

    def ask_for(self, caller: Caller, images: int) -> None:
        """Count images that a call in hand asks for.

        :raises ImageError: CALLER_LIMIT_EXCEEDED, with a wait where one is known
        """
        if not images or caller.images_per_minute is None:
            return
        use, now = self._uses.setdefault(caller.name, _Use()), self._clock()
        use.forget(now - _WINDOW_SECONDS)
        if use.images + images > caller.images_per_minute:
            raise _too_many_images(caller, caller.images_per_minute, images, use, now)
        use.images += images
        use.asked.append((now, images))


def _nothing() -> None:
    """End a call that nothing counts."""


def _too_many_images(caller: Caller, limit: int, images: int, use: _Use, now: float) -> ImageError:
    """Make the refusal; the wait is the time until enough of the minute's images are older than a minute."""
    if images > limit:
        return ImageError(
            Reason.CALLER_LIMIT_EXCEEDED,
            f"{images} images at once are more than the {limit} that caller {caller.name} may ask for in a minute",
        )
    over, wait = use.images + images - limit, 0.0
    for asked_at, count in use.asked:
        over -= count
        if over <= 0:
            wait = asked_at + _WINDOW_SECONDS - now
            break
    return ImageError(
        Reason.CALLER_LIMIT_EXCEEDED,
        f"caller {caller.name} asked for {use.images} images within a minute, and may ask for {limit}; "
        f"this call wants {images}",
        retry_after=wait,
    )

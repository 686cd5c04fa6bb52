"""Which of a provider's keys the next request goes with."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import structlog

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret

KeyStrategy = Literal["round_robin", "weighted"]

_REFUSED = Reason.AUTHENTICATION_FAILED
_OF_A_KEY = frozenset({_REFUSED, Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED})

_FIRST_REST = 30.0
_LONGEST_REST = 3600.0
"""Seconds that a refused or exhausted key rests the first time, doubled each time after, and at most."""

_REST_OF_A_LIMITED_KEY = 5.0
"""Seconds, where the provider told none."""

_REREAD_PAUSE = 5.0
"""Seconds between two readings of a refused key; one may start a program."""

_logger = structlog.get_logger("imagegen.generation")


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One key, as configured. `weight` counts for "weighted".

    `reload` fetches the key again from where it is kept; it may block, and the text of what it raises is logged. None:
    it cannot have changed.
    """

    secret: Secret
    weight: float = 1.0
    reload: Callable[[], Secret] | None = field(default=None, repr=False)


class ChosenKey:
    """A key to send a request with. Another object stands for it once it was read again and had changed."""

    __slots__ = ("place", "secret")

    def __init__(self, place: int, secret: Secret) -> None:
        """Made by KeyRing only. `place` is the key's in the configuration, from 0."""
        self.place = place
        self.secret = secret


class _Place:
    """What is known of one configured key."""

    def __init__(self, number: int, configured: ProviderKey) -> None:
        self.number = number
        self.weight = configured.weight
        self.reload = configured.reload
        self.rests_until = 0.0
        self.rest = 0.0
        """Seconds that it rests, or rested, for having been refused or exhausted."""
        self.reread_from = 0.0
        self.reading: asyncio.Future[Secret] | None = None
        self.key = ChosenKey(number, configured.secret)

    def use(self, secret: Secret) -> None:
        """Take a key that nothing is known of yet."""
        self.key = ChosenKey(self.number, secret)
        self.forget()

    def forget(self) -> None:
        """Forget that it was refused or exhausted."""
        self.rests_until = 0.0
        self.rest = 0.0


class KeyRing:
    """The keys of one provider, of which one is chosen for each attempt.

    A key that a failure belongs to rests while others are there. No key is ever withheld: when all rest, the one whose
    rest ends first is used.
    """

    def __init__(
        self,
        keys: Sequence[ProviderKey],
        strategy: KeyStrategy = "round_robin",
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        """Take at least one key. `clock` (seconds) and `random` are for tests.

        :raises ValueError: there is none
        """
        if not keys:
            raise ValueError("a key ring needs a key")
        self._places = [_Place(number, key) for number, key in enumerate(keys)]
        self._strategy = strategy
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - spreads load, hides nothing
        self._next = 0

    def choose(self, tried: Collection[ChosenKey] = ()) -> ChosenKey:
        """Choose the key of the next attempt: one that neither rests nor was tried, if there is one."""
        if len(self._places) == 1:
            return self._places[0].key
        now = self._clock()
        rested = [place for place in self._places if place.rests_until <= now]
        if not rested:
            return min(self._places, key=lambda place: place.rests_until).key
        return self._pick([place for place in rested if place.key not in tried] or rested).key

    def another_than(self, tried: Collection[ChosenKey]) -> bool:
        """Tell whether there is a key that was not tried and does not rest."""
        now = self._clock()
        return any(place.rests_until <= now and place.key not in tried for place in self._places)

    @staticmethod
    def belongs_to_key(error: ImageError) -> bool:
        """Tell whether another key might fare better."""
        return error.reason in _OF_A_KEY

    def note_failure(self, key: ChosenKey, error: ImageError) -> None:
        """Let a key rest that the failure belongs to, and have a refused one read again.

        It rests for as long as the provider asks; a refused or exhausted one for longer each time.
        """
        place = self._places[key.place]
        if place.key is not key or not self.belongs_to_key(error):
            return
        now = self._clock()
        rest = error.retry_after or 0.0
        if error.reason is Reason.RATE_LIMITED:
            rest = rest or _REST_OF_A_LIMITED_KEY
        else:
            if place.rests_until <= now or not place.rest:
                # Otherwise it was used by several at the same time, who fail together: one refusal.
                place.rest = min(max(_FIRST_REST, place.rest * 2), _LONGEST_REST)
            rest = max(rest, place.rest)
        place.rests_until = max(place.rests_until, now + rest)
        if error.reason is _REFUSED:
            self._read_again(place, now)

    def note_success(self, key: ChosenKey) -> None:
        """Forget that the key was refused or exhausted."""
        place = self._places[key.place]
        if place.key is key and place.rest:
            place.forget()

    async def reread(self, key: ChosenKey) -> None:
        """Wait until a refused key has been read again, if that is going on."""
        reading = self._places[key.place].reading
        if reading is not None:
            await asyncio.wait([reading])

    def _pick(self, places: Sequence[_Place]) -> _Place:
        if self._strategy == "weighted":
            return self._random.choices(places, [place.weight for place in places])[0]
        picked = min(places, key=lambda place: (place.number - self._next) % len(self._places))
        self._next = picked.number + 1
        return picked

    def _read_again(self, place: _Place, now: float) -> None:
        if place.reload is None or place.reading is not None or now < place.reread_from:
            return
        place.reading = asyncio.get_running_loop().run_in_executor(None, place.reload)
        place.reading.add_done_callback(lambda reading: self._take(place, reading))

    def _take(self, place: _Place, reading: asyncio.Future[Secret]) -> None:
        place.reading = None
        place.reread_from = self._clock() + _REREAD_PAUSE
        if problem := reading.exception():
            _logger.warning("refused key not read again", problem=str(problem))
        elif (secret := reading.result()) != place.key.secret:
            place.use(secret)
            _logger.info("refused key read again and changed")

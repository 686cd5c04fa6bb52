"""Which models a provider has, as its vendor says today."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.secret import Secret
from imagegen_server.providers.base import Listing, SelfConnected
from imagegen_server.providers.registry import ProviderEntry

from .upstream import Upstream

FRESH_SECONDS = 600.0
"""How long a vendor's list is taken for today's."""

_MOST_REMEMBERED = 1000
"""Answers that are remembered."""


@dataclass(slots=True)
class _Remembered:
    listing: Listing = field(default_factory=lambda: Listing(()))
    until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Catalogue:
    """Asks vendors for their lists, once for all callers, and remembers the answers; a failure is not remembered."""

    def __init__(self, upstreams: Mapping[str, Upstream], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet. `clock` in seconds, for tests."""
        self._upstreams = upstreams
        self._clock = clock
        self._remembered: dict[tuple[str, str], _Remembered] = {}

    async def models(self, entry: ProviderEntry) -> Sequence[Model]:
        """List the models of a provider.

        :raises ImageError: the vendor's own list cannot be read
        """
        return (await self.listing(entry)).models

    async def listing(self, entry: ProviderEntry) -> Listing:
        """List the models of a provider, and what is missing of them.

        :raises ImageError: as `models`
        """
        provider, http = entry.provider, entry.http
        if isinstance(provider, SelfConnected):
            return await self._fresh(entry, "", provider.fetch_models)
        if http is None:
            return Listing(await provider.models())
        return await self._fresh(entry, "", lambda key: _whole(provider.list_models(http, key)))

    async def model(self, entry: ProviderEntry, model_id: str) -> Model:
        """Tell of one model. A vendor is asked if nothing is known of the model without it: for it, or for its list.

        :raises ImageError: as `models`
        """
        provider = entry.provider
        model = provider.model(model_id)
        if isinstance(provider, SelfConnected):
            found = await self._fresh(entry, model_id, lambda key: _only(provider.fetch_model(model_id, key)))
            return found.models[0]
        if model.known or entry.http is None:
            return model
        listed = await self.models(entry)
        return next((one for one in listed if one.id == model_id), provider.model(model_id))

    async def _fresh(
        self, entry: ProviderEntry, model_id: str, ask: Callable[[Secret | None], Awaitable[Listing]]
    ) -> Listing:
        """Take what is remembered, or ask for it with one of the provider's keys. `model_id` "" = the whole list."""
        remembered = self._remembered.setdefault((entry.name, model_id), _Remembered())
        async with remembered.turn:
            if remembered.until <= self._clock():
                keys = self._upstreams[entry.name].keys
                remembered.listing = await ask(keys.choose().secret if keys else None)
                remembered.until = 0.0 if remembered.listing.unreachable else self._clock() + FRESH_SECONDS
        while len(self._remembered) > _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]  # callers may name any model
        return remembered.listing


async def _whole(asking: Awaitable[Sequence[Model]]) -> Listing:
    return Listing(await asking)


async def _only(asking: Awaitable[Model]) -> Listing:
    return Listing([await asking])

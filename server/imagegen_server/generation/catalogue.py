"""Which models a provider has, as its vendor says today."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from imagegen_server.domain.capabilities import Model
from imagegen_server.providers.registry import ProviderEntry

from .upstream import Upstream

FRESH_SECONDS = 600.0
"""How long a vendor's list is taken for today's."""


@dataclass(slots=True)
class _Remembered:
    models: Sequence[Model] = ()
    until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Catalogue:
    """Asks vendors for their lists, once for all callers, and remembers the answers; a failure is not remembered."""

    def __init__(self, upstreams: Mapping[str, Upstream], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet. `clock` in seconds, for tests."""
        self._upstreams = upstreams
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}

    async def models(self, entry: ProviderEntry) -> Sequence[Model]:
        """List the models of a provider.

        :raises ImageError: the vendor's own list cannot be read
        """
        if entry.http is None:
            return await entry.provider.models()
        remembered = self._remembered.setdefault(entry.name, _Remembered())
        async with remembered.turn:
            if remembered.until <= self._clock():
                keys = self._upstreams[entry.name].keys
                key = keys.choose().secret if keys else None
                remembered.models = await entry.provider.list_models(entry.http, key)
                remembered.until = self._clock() + FRESH_SECONDS
        return remembered.models

    async def model(self, entry: ProviderEntry, model_id: str) -> Model:
        """Tell of one model. A vendor is asked for its list if nothing is known of the model without it.

        :raises ImageError: as `models`
        """
        model = entry.provider.model(model_id)
        if model.known or entry.http is None:
            return model
        listed = await self.models(entry)
        return next((one for one in listed if one.id == model_id), entry.provider.model(model_id))

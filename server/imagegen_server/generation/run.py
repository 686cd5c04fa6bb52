"""What all provider requests of one generation share."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from imagegen_server.domain.task import RetryWish
from imagegen_server.providers.registry import ProviderEntry

from .durations import Durations
from .generation import Generation
from .middleware import Chain, Context
from .store import ImageStore, Reservation
from .upstream import Upstream

FetchResult = Callable[[ProviderEntry, str], Awaitable[bytes]]
"""Fetches an image that a provider answered as a URL."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every generation is made with."""

    store: ImageStore
    upstreams: Mapping[str, Upstream]
    """By the provider's name."""
    middleware: Chain
    fetch_result: FetchResult
    durations: Durations


@dataclass(frozen=True, slots=True)
class Run:
    """A generation that runs, and what it is made with."""

    generation: Generation
    tools: Tools
    retry: RetryWish
    context: Context
    reservation: Reservation

"""When, how often and with which key a provider is asked."""

from dataclasses import dataclass, field

from .fair_queue import FairQueue, QueueSettings
from .keys import KeyRing, KeyStrategy, ProviderKey
from .retry import RetrySettings, strategy_of


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """What is configured of the requests to one provider. No keys: it needs none."""

    keys: tuple[ProviderKey, ...] = ()
    key_strategy: KeyStrategy = "round_robin"
    retry: RetrySettings = field(default_factory=RetrySettings)
    queue: QueueSettings = field(default_factory=QueueSettings)


class Upstream:
    """What all requests to one provider share. `keys` None: it needs no key."""

    def __init__(self, settings: UpstreamSettings) -> None:
        """Start with every key rested and nobody waiting."""
        self.keys = KeyRing(settings.keys, settings.key_strategy) if settings.keys else None
        self.retry = strategy_of(settings.retry)
        self.queue = FairQueue(settings.queue)

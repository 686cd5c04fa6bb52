"""The keys of the provider's table in the configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GoogleSettings:
    """Nothing of its own."""

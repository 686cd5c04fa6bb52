"""The providers that are set up, by their configured names. Built-in and third-party ones come in by one door."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

import structlog

from imagegen_server.http.client import HttpClient

from .base import Provider, ProviderType

_logger = structlog.get_logger("imagegen.server")

ENTRY_POINT_GROUP = "imagegen.providers"


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider that is set up. `timeout` in seconds, for one attempt; `http` as in Call."""

    name: str
    type_name: str
    provider: Provider
    timeout: float = 600.0
    http: HttpClient | None = None


class Registry:
    """Finds providers by name."""

    def __init__(self, entries: Iterable[ProviderEntry]) -> None:
        """Hold them in the order of their names."""
        self._entries = {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}

    @property
    def entries(self) -> Mapping[str, ProviderEntry]:
        """All, by name."""
        return self._entries

    def params_key_known(self, key: str) -> bool:
        """Tell whether params under `key` could be meant for any provider here."""
        return any(key in (entry.name, entry.type_name) for entry in self._entries.values())

    async def close(self) -> None:
        """Close all, whatever one of them raises."""
        for entry in self._entries.values():
            try:
                await entry.provider.close()
                if entry.http is not None:
                    await entry.http.close()
            except Exception as fault:  # noqa: BLE001 - the others must be closed too
                _logger.error("provider not closed", provider=entry.name, exception=type(fault).__name__)  # noqa: TRY400


class ProviderLoadError(Exception):
    """An installed provider cannot be loaded."""


def installed_types() -> dict[str, ProviderType[object]]:
    """Load every provider type that an installed distribution offers, by type name.

    :raises ProviderLoadError: one of them cannot be imported, is no ProviderType, or has the name of another
    """
    found: dict[str, ProviderType[object]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            loaded = point.load()
        except Exception as problem:
            raise ProviderLoadError(f"provider {point.name} ({point.value}): {problem!r}") from problem
        if not isinstance(loaded, ProviderType):
            raise ProviderLoadError(
                f"provider {point.name} ({point.value}): is a {type(loaded).__name__}, no ProviderType"
            )
        if found.setdefault(loaded.name, loaded) is not loaded:
            raise ProviderLoadError(f"provider {point.name} ({point.value}): the type {loaded.name} is installed twice")
    return found

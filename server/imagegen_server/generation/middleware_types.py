"""The kinds of middleware that are installed. Built-in and third-party ones come in by one door."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from .middleware import Middleware

ENTRY_POINT_GROUP = "imagegen.middleware"

SettingsT = TypeVar("SettingsT")


@dataclass(frozen=True, slots=True)
class MiddlewareType(Generic[SettingsT]):
    """What an entry point of the group `imagegen.middleware` names: a kind of middleware that config can set up.

    `settings` is a frozen dataclass whose fields are the keys of its table in the configuration, besides those that
    every middleware has (type, enabled); config fills it. `build` gets the configured name, begins nothing, and raises
    what is wrong with the settings. `by_default`: there without a table, before those that have one.
    """

    name: str
    settings: type[SettingsT]
    build: Callable[[str, SettingsT], Middleware]
    by_default: bool = False


class MiddlewareLoadError(Exception):
    """An installed middleware cannot be loaded."""


def installed_middleware() -> dict[str, MiddlewareType[object]]:
    """Load every type of middleware that an installed distribution offers, by type name.

    :raises MiddlewareLoadError: one of them cannot be imported, is no MiddlewareType, or has the name of another
    """
    found: dict[str, MiddlewareType[object]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        where = f"middleware {point.name} ({point.value})"
        try:
            loaded = point.load()
        except Exception as problem:
            raise MiddlewareLoadError(f"{where}: {problem!r}") from problem
        if not isinstance(loaded, MiddlewareType):
            raise MiddlewareLoadError(f"{where}: is a {type(loaded).__name__}, no MiddlewareType")
        if found.setdefault(loaded.name, loaded) is not loaded:
            raise MiddlewareLoadError(f"{where}: the type {loaded.name} is installed twice")
    return found

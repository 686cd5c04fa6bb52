"""The door by which middleware comes in."""

from collections.abc import Sequence
from typing import Any

import pytest
from imagegen_server.generation import middleware_types
from imagegen_server.generation.middleware import Middleware
from imagegen_server.generation.middleware_types import MiddlewareLoadError, MiddlewareType, installed_middleware

from tests.support.settings import Tuning


class Point:
    """An entry point of an installed distribution."""

    def __init__(self, name: str, loaded: object) -> None:
        """Give `loaded`, or raise it."""
        self.name = name
        self.value = f"{name}_package:MIDDLEWARE"
        self._loaded = loaded

    def load(self) -> object:
        """Import the package."""
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def kind(name: str) -> MiddlewareType[Tuning]:
    """Make a type of middleware."""
    return MiddlewareType(name, Tuning, lambda name, _: Middleware(name))


def install(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    """Make these the only installed middleware."""

    def found(*, group: str) -> Sequence[Any]:
        assert group == "imagegen.middleware"
        return points

    monkeypatch.setattr(middleware_types, "entry_points", found)


def test_types_are_known_by_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by those of their entry points; the same one twice is one."""
    one, two = kind("one"), kind("two")
    install(monkeypatch, Point("first", one), Point("second", two), Point("again", one))

    assert installed_middleware() == {"one": one, "two": two}


@pytest.mark.parametrize(
    ("loaded", "problem"),
    [(ImportError("no module"), "ImportError"), (object(), "is a object, no MiddlewareType"), (kind("one"), "twice")],
)
def test_what_cannot_be_loaded_is_named(loaded: object, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point and what is wrong with it."""
    install(monkeypatch, Point("fine", kind("one")), Point("odd", loaded))

    with pytest.raises(MiddlewareLoadError, match=rf"middleware odd \(odd_package:MIDDLEWARE\): .*{problem}"):
        installed_middleware()

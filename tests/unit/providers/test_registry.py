"""The providers that are set up, and the door by which types come in."""

from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from imagegen_server.providers import registry
from imagegen_server.providers.base import Provider
from imagegen_server.providers.registry import ProviderLoadError, Registry, installed_types

from tests.support.generation import as_entry
from tests.support.provider import ScriptedProvider
from tests.support.settings import provider_type


class Point:
    """An entry point of an installed distribution."""

    def __init__(self, name: str, loaded: object) -> None:
        """Give `loaded`, or raise it."""
        self.name = name
        self.value = f"{name}_package:PROVIDER"
        self._loaded = loaded

    def load(self) -> object:
        """Import the package."""
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def install(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    """Make these the only installed providers."""

    def found(*, group: str) -> Sequence[Any]:
        assert group == "imagegen.providers"
        return points

    monkeypatch.setattr(registry, "entry_points", found)


def test_providers_are_found_by_name_in_order() -> None:
    """Whatever order they came in, they are listed by name."""
    held = Registry([as_entry(name=name) for name in ("b", "c", "a")])

    assert list(held.entries) == ["a", "b", "c"]
    assert held.entries["b"].name == "b"


@pytest.mark.parametrize(("key", "known"), [("far", True), ("remote", True), ("remot", False), ("", False)])
def test_a_key_of_params_is_a_name_or_a_type(key: str, known: bool) -> None:
    """Both the configured name and the type of a provider mean it."""
    assert Registry([as_entry(name="far", type_name="remote")]).params_key_known(key) is known


async def test_all_providers_are_closed() -> None:
    """Each one once."""
    closed: list[Provider] = []

    class Closing(ScriptedProvider):
        async def close(self) -> None:
            closed.append(self)

    providers = [Closing(), Closing()]
    await Registry([as_entry(provider, name=str(number)) for number, provider in enumerate(providers)]).close()

    assert closed == providers


async def test_a_provider_that_cannot_be_closed_keeps_no_other_open() -> None:
    """All are closed, and the operator hears of the one, without the text of its exception."""
    closed: list[str] = []

    class Closing(ScriptedProvider):
        async def close(self) -> None:
            closed.append("closed")
            if len(closed) == 1:
                raise RuntimeError("the secret key")

    with structlog.testing.capture_logs() as lines:
        await Registry([as_entry(Closing(), name=name) for name in "abc"]).close()

    assert len(closed) == 3
    assert [(line["provider"], line["exception"]) for line in lines] == [("a", "RuntimeError")]
    assert "secret" not in str(lines)


def test_installed_types_are_known_by_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every distribution comes in by the same door; the type's own name counts."""
    one, two = provider_type("one"), provider_type("two")
    install(monkeypatch, Point("one", one), Point("another-name", two))

    assert installed_types() == {"one": one, "two": two}


@pytest.mark.parametrize(
    ("loaded", "said"),
    [(ImportError("no module named x"), "no module named x"), (ScriptedProvider, "no ProviderType"), (3, "a int")],
    ids=["cannot be imported", "a class", "a number"],
)
def test_a_provider_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch, loaded: object, said: str) -> None:
    """The message says which distribution is to blame, and why."""
    install(monkeypatch, Point("good", provider_type("good")), Point("bad", loaded))

    with pytest.raises(ProviderLoadError) as caught:
        installed_types()

    assert "bad_package:PROVIDER" in str(caught.value)
    assert said in str(caught.value)


def test_two_types_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package takes another one's place in silence, where it would be given its keys."""
    install(monkeypatch, Point("one", provider_type("same")), Point("two", provider_type("same")))

    with pytest.raises(ProviderLoadError, match="same is installed twice"):
        installed_types()


def test_the_same_type_may_be_found_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that is on the path twice is still one."""
    kind = provider_type("one")
    install(monkeypatch, Point("one", kind), Point("one", kind))

    assert installed_types() == {"one": kind}

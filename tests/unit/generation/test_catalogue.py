"""What vendors say that they have is asked once and remembered for a while."""

import asyncio
from collections.abc import Sequence

import pytest
from imagegen_server.domain.capabilities import Capabilities, Model
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.catalogue import FRESH_SECONDS, Catalogue
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.registry import ProviderEntry

from tests.support.provider import ScriptedProvider


class Listing(ScriptedProvider):
    """A provider whose vendor publishes a list."""

    def __init__(self) -> None:
        """Have been asked by nobody."""
        super().__init__()
        self.keys: list[str | None] = []
        self.down = False

    def model(self, model_id: str) -> Model:
        """Know those of the test, and guess at all others."""
        known = next((model for model in self.known_models if model.id == model_id), None)
        return known or Model(model_id, Capabilities(), known=False)

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """Tell of as many models as there were questions."""
        assert http.host == "127.0.0.1:9"
        self.keys.append(key.reveal() if key else None)
        await asyncio.sleep(0)
        if self.down:
            raise ImageError(Reason.PROVIDER_UNAVAILABLE, "down")
        return [Model(f"model-{len(self.keys)}", Capabilities())]


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def entry_of(provider: ScriptedProvider) -> ProviderEntry:
    """Register a provider that is reached by HTTP."""
    http = HttpClient(HttpSettings("http://127.0.0.1:9"))
    return ProviderEntry("far", "far", provider, http=http)


def catalogue_of(clock: Clock, *, key: str = "") -> Catalogue:
    """Make one with a key, or without."""
    keys = (ProviderKey(Secret(key)),) if key else ()
    return Catalogue({"far": Upstream(UpstreamSettings(keys))}, clock=clock)


async def test_a_list_is_asked_for_once_and_again_when_it_is_old() -> None:
    """Callers at the same time and in the next minutes get the same list; later ones a new one."""
    clock, provider = Clock(), Listing()
    catalogue, entry = catalogue_of(clock, key="the key"), entry_of(provider)

    at_once = await asyncio.gather(*(catalogue.models(entry) for _ in range(3)))
    clock.now = FRESH_SECONDS - 1
    soon = await catalogue.models(entry)
    clock.now = FRESH_SECONDS
    later = await catalogue.models(entry)

    assert [models[0].id for models in (*at_once, soon, later)] == ["model-1"] * 4 + ["model-2"]
    assert provider.keys == ["the key", "the key"]


async def test_a_failure_is_not_remembered() -> None:
    """Whoever asks while the vendor is down is told so, and the next one gets the list."""
    provider = Listing()
    catalogue, entry = catalogue_of(Clock()), entry_of(provider)
    provider.down = True

    with pytest.raises(ImageError) as caught:
        await catalogue.models(entry)
    provider.down = False

    assert caught.value.reason is Reason.PROVIDER_UNAVAILABLE
    assert [model.id for model in await catalogue.models(entry)] == ["model-2"]
    assert provider.keys == [None, None]


async def test_who_is_not_reached_by_http_is_asked_each_time() -> None:
    """A provider in the server itself has no vendor: its own list counts."""
    provider = ScriptedProvider()

    listed = await Catalogue({}).models(ProviderEntry("test", "test", provider))

    assert listed == await provider.models()


async def test_a_model_that_is_a_guess_is_looked_up_in_the_list() -> None:
    """The vendor is asked for the list, once; a model that the list does not have stays a guess."""
    provider = Listing()
    catalogue = catalogue_of(Clock())

    found = await catalogue.model(entry_of(provider), "model-1")
    stranger = await catalogue.model(entry_of(provider), "model-9")

    assert (found.id, found.known) == ("model-1", True)
    assert (stranger.id, stranger.known) == ("model-9", False)
    assert len(provider.keys) == 1


async def test_nobody_is_asked_of_a_model_that_is_known() -> None:
    """What the adapter knows by itself costs no question."""
    provider = Listing()
    provider.known_models = [Model("m", Capabilities())]

    assert (await catalogue_of(Clock()).model(entry_of(provider), "m")).known
    assert provider.keys == []

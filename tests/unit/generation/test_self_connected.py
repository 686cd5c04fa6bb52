"""Providers that are not reached by our HTTP client: what they can do is asked before a wish is held against it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from imagegen_server.domain.capabilities import Capabilities, Model
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.generation import catalogue as catalogue_room
from imagegen_server.generation import plan as plan_room
from imagegen_server.generation.catalogue import FRESH_SECONDS, Catalogue
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.plan import Planner
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.providers.base import Call, Listing, SelfConnected, Unsent
from imagegen_server.providers.registry import Registry

from tests.support.generation import as_entry, drawing, workshop_of
from tests.support.provider import ScriptedProvider

DRAWS_NOT = Model("any", Capabilities(generate=False))


class Reaching(ScriptedProvider, SelfConnected):
    """A provider that asks by itself."""

    def __init__(self) -> None:
        """Have asked nobody."""
        super().__init__()
        self.asked: list[tuple[str, str | None]] = []
        self.missing: Mapping[str, Reason] = {}
        self.trouble: ImageError | None = None
        self.answering = asyncio.Event()
        self.answering.set()

    async def fetch_models(self, key: Secret | None) -> Listing:
        """List one."""
        self.asked.append(("", key.reveal() if key else None))
        return Listing([DRAWS_NOT], self.missing)

    async def fetch_model(self, model_id: str, key: Secret | None) -> Model:
        """Tell that it does not draw, or what the trouble is."""
        self.asked.append((model_id, key.reveal() if key else None))
        await self.answering.wait()
        if self.trouble:
            raise self.trouble
        return Model(model_id, DRAWS_NOT.capabilities)

    def unsent(self, task: Task, call: Call) -> Unsent:
        """Show prompt and key."""
        return Unsent("GRPC", "http://far", f"{task.prompt} {call.key.reveal() if call.key else 'no key'}")


def asking(provider: Reaching, *, keys: tuple[ProviderKey, ...] = (), **more: Any) -> Catalogue:
    """Remember what it says."""
    return Catalogue({"test": Upstream(UpstreamSettings(keys))}, **more)


def planning(provider: Reaching, catalogue: Catalogue | None) -> Planner:
    """Make plans with it."""
    return Planner(Registry([as_entry(provider)]), {}, catalogue=catalogue)


async def test_a_wish_is_held_against_what_is_told() -> None:
    """Before anything is spent; asked once, with the key."""
    provider = Reaching()
    plans = planning(provider, asking(provider, keys=(ProviderKey(Secret("k")),)))

    for _ in range(2):
        with pytest.raises(ImageError) as caught:
            await plans.plan(drawing())
        assert caught.value.reason is Reason.OPERATION_NOT_SUPPORTED
    assert provider.asked == [("any", "k")]


async def test_without_an_answer_the_provider_will_tell() -> None:
    """The wish goes on with what is known, and the question is asked again the next time."""
    provider = Reaching()
    provider.trouble = ImageError(Reason.NETWORK_ERROR, "down", sent=False)
    plans = planning(provider, asking(provider))

    for _ in range(2):
        assert (await plans.plan(drawing())).first.model == "test/any"
    assert len(provider.asked) == 2


async def test_a_slow_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little as no answer."""
    monkeypatch.setattr(plan_room, "LOOK_UP_SECONDS", 0.0)
    provider = Reaching()
    provider.answering.clear()

    assert (await planning(provider, asking(provider)).plan(drawing())).first.model == "test/any"


async def test_nobody_is_asked_without_a_catalogue() -> None:
    """Nor for a wish that is wrong already."""
    provider = Reaching()
    await planning(provider, None).plan(drawing())
    with pytest.raises(ImageError):
        await planning(provider, asking(provider)).plan(drawing(params={"nobody": {}}))
    assert not provider.asked


async def test_a_whole_list_is_remembered_and_one_with_gaps_is_not() -> None:
    """For as long as those of vendors."""
    provider, now = Reaching(), [0.0]
    catalogue, entry = asking(provider, clock=lambda: now[0]), as_entry(provider)
    provider.missing = {"b": Reason.TIMEOUT}
    assert (await catalogue.listing(entry)).unreachable == {"b": Reason.TIMEOUT}
    provider.missing = {}
    assert await catalogue.models(entry) == [DRAWS_NOT]
    assert await catalogue.models(entry) == [DRAWS_NOT]
    assert len(provider.asked) == 2

    now[0] = FRESH_SECONDS
    await catalogue.models(entry)
    assert len(provider.asked) == 3


async def test_so_many_models_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers may name any; the oldest is forgotten."""
    monkeypatch.setattr(catalogue_room, "_MOST_REMEMBERED", 2)
    provider = Reaching()
    catalogue, entry = asking(provider), as_entry(provider)

    for name in ("a", "b", "c", "c", "a"):
        await catalogue.model(entry, name)
    assert [name for name, _ in provider.asked] == ["a", "b", "c", "a"]


async def test_explain_shows_what_it_says_itself() -> None:
    """And gives it no key."""
    provider = Reaching()
    shop = workshop_of(as_entry(provider), upstreams={"test": UpstreamSettings((ProviderKey(Secret("k")),))})

    (call,) = await shop.explained()

    assert (call.method, call.url, call.body) == ("GRPC", "http://far", "a boat ***")


async def test_every_attempt_has_a_key_of_its_own() -> None:
    """Another generation has another one, too; it tells no id of ours."""
    seen: list[Call] = []

    class Listening(ScriptedProvider):
        def run(self, task: Task, call: Call) -> Any:
            seen.append(call)
            return super().run(task, call)

    shop = workshop_of(as_entry(Listening()))
    await shop.result()
    generation = await shop.ended()

    keys = [call.idempotency_key for call in seen]
    assert len(set(keys)) == 2
    assert all(len(key) == 32 and generation.id not in key for key in keys)

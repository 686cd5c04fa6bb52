"""Generations without a server: planned, opened, run and read in the test's own loop."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.capabilities import Capabilities
from imagegen_server.domain.errors import ImageError, Violation
from imagegen_server.domain.events import Broken, Finished, LogEvent, ProviderEvent
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.result import ImageResult
from imagegen_server.domain.task import Operation, Options, Task, Wish
from imagegen_server.generation.admission import Admission, AdmissionSettings
from imagegen_server.generation.caller_limits import OwnCallerLimits
from imagegen_server.generation.durations import Durations
from imagegen_server.generation.engine import Engine
from imagegen_server.generation.explain import Explainer, PlannedCall
from imagegen_server.generation.finding import Finder
from imagegen_server.generation.generation import Generation
from imagegen_server.generation.generations import Generations
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.inputs import Inputs
from imagegen_server.generation.log import Entry
from imagegen_server.generation.middleware import Chain, Middleware
from imagegen_server.generation.opening import Opener, Terms
from imagegen_server.generation.plan import Planner
from imagegen_server.generation.prices import Price
from imagegen_server.generation.readers import Readers, deadline_in
from imagegen_server.generation.reading import Reading
from imagegen_server.generation.result_url import result_fetcher
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.run import Tools
from imagegen_server.generation.store import StoreSettings
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.http.guarded_fetch import FetchSettings, GuardedFetcher
from imagegen_server.images.facts import read_facts
from imagegen_server.providers.base import Call, Provider
from imagegen_server.providers.registry import ProviderEntry, Registry
from imagegen_server.store.memory import MemoryStore

from .provider import ABLE, Script, ScriptedProvider, draw_all

CALLER = Caller("caller")


def as_entry(
    provider: Provider | None = None, *, name: str = "test", type_name: str = "scripted", timeout: float = 600.0
) -> ProviderEntry:
    """Register a provider."""
    return ProviderEntry(name, type_name, provider or ScriptedProvider(), timeout)


def planner(*entries: ProviderEntry, aliases: Mapping[str, Sequence[str]] | None = None) -> Planner:
    """Make a planner of these providers; none = one able provider "test" of type "scripted"."""
    return Planner(Registry(entries or [as_entry()]), aliases or {})


def able(**changes: Any) -> ScriptedProvider:
    """Make a provider whose models differ from the able one by `changes`."""
    return ScriptedProvider(capabilities=replace(ABLE, **changes))


def drawing(model: str = "test/any", *, params: Mapping[str, Any] | None = None, **options: Any) -> Wish:
    """Wish for new pictures."""
    return Wish(Operation.GENERATE, model, "a boat", Options(**options), params=params or {})


def editing(*images: bytes, mask: bytes | None = None, model: str = "test/any", prompt: str = "a boat") -> Wish:
    """Wish for changed pictures."""
    given = tuple(as_input(data) for data in images)
    return Wish(Operation.EDIT, model, prompt, Options(), images=given, mask=None if mask is None else as_input(mask))


def as_input(data: bytes) -> InputImage:
    """Read an image as the edge of the server does."""
    facts = read_facts(data)
    assert facts is not None
    return InputImage(data, facts)


def told(error: ImageError) -> list[str]:
    """Name the fields that an error finds wrong."""
    return [violation.field for violation in error.violations]


def wrong(field: str) -> Violation:
    """Stand for something that reading the request has found."""
    return Violation(field, "is wrong")


@dataclass
class Workshop:
    """An engine, with all of its parts within reach."""

    engine: Engine
    store: MemoryStore
    admission: Admission
    generations: Generations
    explainer: Explainer
    readings: list[Reading] = field(default_factory=list)
    """Those that nobody closes."""

    async def ended(self, wish: Wish | None = None) -> Generation:
        """Run a generation to its end, and go on reading it."""
        reading = await self.open(wish)
        self.readings.append(reading)
        self.engine.launch(reading.generation)
        await events_of(reading.generation)
        return reading.generation

    async def open(self, wish: Wish | None = None, time_left: float | None = None, **terms: Any) -> Reading:
        """Plan and admit a generation, or join the one that is meant."""
        given = Terms(deadline=deadline_in(time_left), **terms)
        return await self.engine.open(wish or drawing(), CALLER, given)

    @asynccontextmanager
    async def opened(
        self, wish: Wish | None = None, time_left: float | None = None, **terms: Any
    ) -> AsyncIterator[Generation]:
        """Read a generation that is planned and admitted."""
        async with await self.open(wish, time_left, **terms) as reading:
            yield reading.generation

    async def run(self, wish: Wish | None = None, time_left: float | None = None, **terms: Any) -> list[LogEvent]:
        """Run a generation to its end, reading along."""
        async with self.opened(wish, time_left, **terms) as generation:
            self.engine.launch(generation)
            return await events_of(generation)

    async def result(self, wish: Wish | None = None, time_left: float | None = None) -> ImageResult:
        """Run a generation that makes at least one image."""
        last = (await self.run(wish, time_left))[-1]
        assert isinstance(last, Finished)
        return last.result

    async def broken(self, wish: Wish | None = None, time_left: float | None = None) -> Broken:
        """Run a generation that makes none."""
        last = (await self.run(wish, time_left))[-1]
        assert isinstance(last, Broken)
        return last

    async def explained(self, wish: Wish | None = None) -> list[PlannedCall]:
        """Ask what a wish would do."""
        wish = wish or drawing()
        async with self.engine.readers.counted(CALLER, wish.input_bytes) as ticket:
            return await self.explainer.explain(wish, CALLER, ticket)

    @property
    def in_hand(self) -> tuple[int, int, int]:
        """Calls, bytes in flight, bytes reserved in the store; all zero when nothing runs."""
        return self.admission.calls, self.admission.bytes_in_flight, self.store.reserved_bytes


@dataclass
class ScriptedWorkshop(Workshop):
    """An engine around one scripted provider."""

    provider: ScriptedProvider = field(default_factory=ScriptedProvider)


def workshop_of(
    *entries: ProviderEntry,
    admission: AdmissionSettings | None = None,
    store: StoreSettings | None = None,
    prices: Mapping[str, Price] | None = None,
    aliases: Mapping[str, Sequence[str]] | None = None,
    upstreams: Mapping[str, UpstreamSettings] | None = None,
    middleware: Sequence[Middleware] = (),
    fetch: FetchSettings | None = None,
) -> Workshop:
    """Wire an engine around these providers. `upstreams` by the provider's name; unset = no retries."""
    registry, ids, limits = Registry(entries), Ids(), OwnCallerLimits()
    settings = store or StoreSettings()
    images, counter = MemoryStore(settings, ids), Admission(admission or AdmissionSettings())
    once = UpstreamSettings(retry=RetrySettings(strategy="none"))
    given = {entry.name: Upstream((upstreams or {}).get(entry.name, once)) for entry in entries}
    fetcher = GuardedFetcher(fetch or FetchSettings())
    tools = Tools(images, given, Chain(middleware), result_fetcher(fetcher), Durations())
    generations = Generations(settings.ttl)
    plans, inputs = Planner(registry, aliases or {}, prices), Inputs(images, fetcher)
    opener = Opener(plans, counter, limits, inputs, tools)
    engine = Engine(
        store=images,
        admission=counter,
        ids=ids,
        opener=opener,
        tools=tools,
        generations=generations,
        readers=Readers(images, counter, limits, generations),
        finder=Finder(images, ids, generations, None),
    )
    return Workshop(engine, images, counter, generations, Explainer(plans, inputs, tools))


def workshop(
    script: Script = draw_all,
    *,
    capabilities: Capabilities = ABLE,
    timeout: float = 600.0,
    admission: AdmissionSettings | None = None,
    store: StoreSettings | None = None,
    **further: Any,
) -> ScriptedWorkshop:
    """Wire an engine around one scripted provider, "test". `further` as in `workshop_of`."""
    provider = ScriptedProvider(script, capabilities)
    plain = workshop_of(as_entry(provider, timeout=timeout), admission=admission, store=store, **further)
    parts = plain.engine, plain.store, plain.admission, plain.generations, plain.explainer
    return ScriptedWorkshop(*parts, provider=provider)


async def events_of(generation: Generation) -> list[LogEvent]:
    """Read a log from its start to its end."""
    return [entry.event async for entry in generation.log.read(0, 60.0) if isinstance(entry, Entry)]


async def until(generation: Generation, kind: type[LogEvent]) -> None:
    """Wait until such an event is in the log."""
    async for entry in generation.log.read(0, 60.0):
        if isinstance(entry, Entry) and isinstance(entry.event, kind):
            return


def yielding(*events: ProviderEvent | Exception, accepted: bool = True) -> Script:
    """Script a provider that yields these events and raises these exceptions, in this order."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        if accepted:
            call.accepted("req-1")
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield event

    return script

"""A provider in front of its fake, and all that was said between them."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

import pybase64
import structlog
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, LogEvent, ProviderEvent
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task, Wish
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.result_url import result_fetcher
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.guarded_fetch import FetchSettings, GuardedFetcher
from imagegen_server.providers.base import Call
from imagegen_server.providers.registry import ProviderEntry, Registry

from tests.support.fetching import Names
from tests.support.generation import Workshop, planner, workshop_of
from tests.support.http_server import PATIENCE
from tests.support.recording import RecordedRequest
from tests.support.vendor import Answer, FakeVendor
from tests.support.wire import WireFixture

from .kit import Kit

Change = Callable[[Answer], Answer]


def instead(answer: Answer) -> Change:
    """Say another answer."""
    return lambda _: answer


@dataclass(frozen=True)
class Accepted:
    """The adapter said that the vendor has taken the task on."""

    request_id: str


@dataclass
class Bench:
    """An engine with one provider, and its fake. What is remembered is of the last run."""

    kit: Kit
    fake: FakeVendor
    entry: ProviderEntry
    workshop: Workshop
    key: str
    fetcher: GuardedFetcher
    """For runs without the engine. It knows no names."""
    changes: dict[int, Change] = field(default_factory=dict)
    """What is done to the answer to a request, by the request's number in a run, from 0."""
    said: list[tuple[RecordedRequest, Answer]] = field(default_factory=list)
    """Requests with their answers, in the order in which they came."""
    seen: list[Accepted | ProviderEvent] = field(default_factory=list)
    """What the adapter told, in order."""
    fetched: list[str] = field(default_factory=list)
    """URLs of images."""
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def secret(self) -> Secret:
        """The key."""
        return Secret(self.key)

    @property
    def orders(self) -> list[RecordedRequest]:
        """The requests that ask for something to be done."""
        return [call for call, _ in self.said if call.method != "GET" and call not in self.uploads]

    @property
    def uploads(self) -> list[RecordedRequest]:
        """The requests that only put pictures where others say that they are."""
        begin = self.kit.uploads
        return [call for call, _ in self.said if begin and call.path.startswith(begin)]

    @property
    def accepted(self) -> list[str]:
        """What the adapter said when it said that a task was taken on."""
        return [item.request_id for item in self.seen if isinstance(item, Accepted)]

    @property
    def events(self) -> list[ProviderEvent]:
        """What the adapter yielded."""
        return [item for item in self.seen if not isinstance(item, Accepted)]

    def place_of(self, data: bytes) -> int:
        """Tell where in what was sent some bytes stand, plainly or as base64; -1 = nowhere."""
        sent = b"\n".join(call.body for call, _ in self.said)
        return max(sent.find(form) for form in (data, pybase64.b64encode(data)))

    def will_say(self, fixture: WireFixture) -> None:
        """Have the fake say what a fixture holds, and nothing that was to be said before."""
        self.fake.forget_answers()
        self.fake.answer_next(*(replace(answer, checks=False) for answer in self.kit.says(fixture, self.fake)))

    async def until_asked(self, method: str, end: str) -> None:
        """Wait for a request whose path ends so."""
        while not any(call.method == method and call.path.endswith(end) for call, _ in self.said):
            self._asked.clear()
            await self._asked.wait()

    def forget(self) -> None:
        """Begin a new run."""
        self.said.clear()
        self.seen.clear()
        self.fetched.clear()

    async def run(self, wish: Wish, request_id: str = "") -> list[LogEvent]:
        """Run a generation to its end; "" = without an id of the caller's own."""
        self.forget()
        async with asyncio.timeout(PATIENCE):
            return await self.workshop.run(wish, request_id=request_id)

    async def ended(self, wish: Wish, request_id: str = "") -> Finished | Broken:
        """Run a generation, and tell how it ended."""
        last = (await self.run(wish, request_id))[-1]
        assert isinstance(last, Finished | Broken)
        return last

    async def broken(self, wish: Wish) -> Broken:
        """Run a generation that makes nothing."""
        last = await self.ended(wish)
        assert isinstance(last, Broken), "it made an image"
        return last

    async def task(self, wish: Wish) -> Task:
        """Make the task of the first request."""
        return (await planner(self.entry).plan(wish)).first.batches[0][1]

    async def direct(self, task: Task) -> ImageError | None:
        """Run the adapter alone, without the engine that catches what it should not raise."""
        self.forget()
        fetch = result_fetcher(self.fetcher)
        call = Call(
            deadline=time.monotonic() + PATIENCE,
            log=structlog.get_logger("contract"),
            accepted=lambda _: None,
            http=self.entry.http,
            key=self.secret,
            fetch=lambda url: fetch(self.entry, url),
        )
        try:
            async with asyncio.timeout(PATIENCE), aclosing(self.entry.provider.run(task, call)) as events:
                async for _ in events:
                    pass
        except ImageError as error:
            return error
        return None

    def watch(self) -> None:
        """Listen to the adapter and to the fake."""
        provider = self.entry.provider
        run = provider.run

        async def watched(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
            async with aclosing(run(task, self._heard(call))) as events:
                async for event in events:
                    self.seen.append(event)
                    yield event

        vars(provider)["run"] = watched
        self.fake.retouch = self._retouch

    def _heard(self, call: Call) -> Call:
        def accepted(request_id: str) -> None:
            self.seen.append(Accepted(request_id))
            call.accepted(request_id)

        async def fetch(url: str) -> bytes:
            self.fetched.append(url)
            return await call.fetch(url)

        return replace(call, accepted=accepted, fetch=fetch)

    def _calls_off(self, call: RecordedRequest) -> bool:
        method, _, end = self.kit.calls_off.partition(" ")
        return bool(method) and call.method == method and call.path.endswith(end)

    def _retouch(self, call: RecordedRequest, answer: Answer) -> Answer:
        # What calls off an earlier run may come at any time.
        step = sum(not self._calls_off(earlier) for earlier, _ in self.said)
        change = None if self._calls_off(call) else self.changes.get(step)
        said = change(answer) if change else answer
        self.said.append((call, said))
        self._asked.set()
        return said


@asynccontextmanager
async def bench_of(
    kit: Kit,
    *,
    key: str = "",
    headers: Mapping[str, str] | None = None,
    timeout: float = 600.0,  # noqa: ASYNC109 - the provider's own
) -> AsyncIterator[Bench]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    key = key or kit.key
    async with kit.fake() as fake:
        http = HttpClient(HttpSettings(fake.base_url, headers=headers or {}))
        entry = ProviderEntry(kit.name, kit.kind.name, kit.provider(), timeout, http)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        fetcher = GuardedFetcher(FetchSettings(), Names({}))
        bench = Bench(kit, fake, entry, workshop_of(entry, upstreams={entry.name: once}), key, fetcher)
        bench.watch()
        try:
            yield bench
        finally:
            await fetcher.close()
            await Registry([entry]).close()


async def steps_of(kit: Kit, wish: Wish) -> Sequence[RecordedRequest]:
    """Tell which requests a generation takes."""
    async with bench_of(kit) as bench:
        assert isinstance(await bench.ended(wish), Finished)
        return [call for call, _ in bench.said]

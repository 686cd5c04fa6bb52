"""Wiring, and nothing but wiring."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from .config import Config, ConfigError, ServerTable
from .domain.credentials import KnownCallers
from .generation.admission import Admission, AdmissionSettings
from .generation.catalogue import Catalogue
from .generation.durations import Durations
from .generation.elsewhere import Elsewhere
from .generation.engine import Engine
from .generation.explain import Explainer
from .generation.finding import Finder
from .generation.generations import Generations
from .generation.inputs import Inputs
from .generation.middleware import Chain
from .generation.opening import Opener
from .generation.plan import Planner
from .generation.publishing import Publisher
from .generation.readers import Readers
from .generation.result_url import result_fetcher
from .generation.run import Tools
from .generation.uploads import Uploads
from .generation.upstream import Upstream
from .http.allocator import keep_large_buffers
from .http.client import HttpClient
from .http.guarded_fetch import GuardedFetcher
from .kept import Kept
from .providers.registry import ProviderEntry, Registry
from .rpc.callers import Authenticator
from .rpc.image_service import DeliverySettings, ImageService
from .rpc.model_service import ModelService
from .rpc.server import SLOW_READER_SECONDS, ListenSettings, Server
from .rpc.watched import Watched

_INTERRUPTED = 130
"""Exit status after a second signal, which ends the process at once."""

_ALLOCATIONS_BEFORE_COLLECTION = 20_000

_logger = structlog.get_logger("imagegen.server")


def build_providers(config: Config) -> Registry:
    """Make the providers of a configuration; nothing is sent.

    :raises ConfigError: one of them refuses its settings
    """
    entries = []
    for item in config.providers:
        try:
            provider = item.type.build(item.name, item.settings)
        except Exception as problem:
            raise ConfigError(f"providers.{item.name}: cannot be set up: {problem}") from problem
        http = HttpClient(item.http) if item.http else None
        entries.append(ProviderEntry(item.name, item.type.name, provider, item.timeout, http))
    return Registry(entries)


def build_upstreams(config: Config) -> dict[str, Upstream]:
    """Make what the requests to each provider share, by the provider's name."""
    return {item.name: Upstream(item.upstream) for item in config.providers}


def build_middleware(config: Config) -> Chain:
    """Make the middleware of a configuration; nothing begins.

    :raises ConfigError: one of them refuses its settings
    """
    made = []
    for item in config.middleware:
        try:
            made.append(item.type.build(item.name, item.settings))
            Chain(made[-1:])
        except Exception as problem:
            raise ConfigError(f"middleware.{item.name}: cannot be set up: {problem}") from problem
    return Chain(made)


class App:
    """A whole server, made from its settings."""

    def __init__(
        self, config: Config, delivery: DeliverySettings | None = None, *, slow_reader: float = SLOW_READER_SECONDS
    ) -> None:
        """Wire everything. `delivery` None = what the config says; `slow_reader` as in ListenSettings."""
        self._drain = config.server.drain
        self._registry = build_providers(config)
        self._middleware = build_middleware(config)
        self._slow_reader = slow_reader
        self._fetcher = GuardedFetcher(config.fetch)
        self._kept = Kept(config)
        self.store, ids, peers, limits = self._kept.store, self._kept.ids, self._kept.peers, self._kept.limits
        upstreams = build_upstreams(config)
        catalogue = Catalogue(upstreams)
        planner = Planner(self._registry, config.aliases, config.prices, catalogue)
        self.admission = Admission(AdmissionSettings(config.server.max_calls, config.server.max_bytes_in_flight))
        inputs = Inputs(self.store, self._fetcher)
        tools = Tools(self.store, upstreams, self._middleware, result_fetcher(self._fetcher), Durations())
        generations = Generations(config.store.ttl)
        self._publisher = Publisher(peers, generations, config.store.ttl) if peers else None
        self._elsewhere = Elsewhere(peers, self.store, self.admission, ids.tag) if peers else None
        self.engine = Engine(
            store=self.store,
            admission=self.admission,
            ids=ids,
            opener=Opener(planner, self.admission, limits, inputs, tools),
            tools=tools,
            generations=generations,
            readers=Readers(self.store, self.admission, limits, generations),
            finder=Finder(self.store, ids, generations, self._elsewhere),
            publisher=self._publisher,
            peers=peers,
        )
        self._server = Server(
            ListenSettings(
                config.server.listen,
                config.server.max_receive_bytes,
                slow_reader,
                share_port=config.server.workers > 1,
                max_connection_age=config.server.connection_age,
            ),
            ImageService(
                self.engine,
                Uploads(self.store),
                Explainer(planner, inputs, tools),
                delivery or DeliverySettings(max_inline_bytes=config.server.max_inline_bytes),
            ),
            ModelService(self._registry, planner, catalogue),
            self._registry.entries,
            tls=Watched("server.tls", tls.files, tls.read) if (tls := config.server.tls) else None,
            authenticator=_authenticator(config.server),
        )

    @property
    def instance(self) -> str:
        """The tag of this process, which is in the ids that it makes."""
        return self._kept.ids.tag

    async def start(self) -> str:
        """Begin to serve; returns the bound address.

        :raises OSError: the address cannot be bound, or the store cannot be used
        """
        await self._kept.start()
        if self._publisher is not None:
            self._publisher.start()
        return await self._server.start()

    async def stop(self, drain: float | None = None) -> None:
        """Take no new work, finish what runs within `drain` seconds, and hang up."""
        await self._server.say_not_serving()
        await self.engine.drain(self._drain if drain is None else drain, self._slow_reader)
        await self._server.stop()
        await self._middleware.close()
        await self._registry.close()
        await self._fetcher.close()
        self.engine.close()
        if self._publisher is not None:
            await self._publisher.close()
        if self._elsewhere is not None:
            await self._elsewhere.close()
        await self.store.close()


def _authenticator(server: ServerTable) -> Authenticator | None:
    certificates = server.tls is not None and server.tls.client_ca is not None
    if server.tokens:
        callers = Watched("server.tokens.file", [server.tokens.file], server.tokens.read)
        return Authenticator(callers.current, tokens=True, certificates=certificates)
    if certificates:
        everybody = KnownCallers(unlisted=True)
        return Authenticator(lambda: everybody, tokens=False, certificates=True)
    return None


def settle_memory() -> None:
    """Tune the process for a server: keep freed buffers, and let the collector look at young objects only.

    What was imported lives for ever. Measured with small pictures, collecting took a fifth of the processor's time.
    """
    keep_large_buffers()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BEFORE_COLLECTION, *gc.get_threshold()[1:])


async def serve(
    config: Config, announce: Callable[[str], None], told_to_stop: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> None:
    """Serve until SIGTERM, SIGINT or the end of `told_to_stop`; a second signal ends the process at once.

    `announce` gets the bound address once health says SERVING. A first signal after `told_to_stop` is the same order
    once more: a terminal and systemd signal a supervisor and its workers at the same time.

    :raises OSError: the address cannot be bound
    """
    settle_memory()
    app = App(config)
    stopping, signalled = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        if signalled.is_set():
            os._exit(_INTERRUPTED)
        signalled.set()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    address = await app.start()
    announce(address)
    _logger.info(
        "serving", address=address, instance=app.instance, providers=[provider.name for provider in config.providers]
    )
    if told_to_stop:
        told = asyncio.create_task(told_to_stop())
        told.add_done_callback(lambda _: stopping.set())
    await stopping.wait()
    engine = app.engine
    _logger.info(
        "stopping",
        drain_seconds=config.server.drain,
        unread_images=engine.unread_images,
        detached_generations=engine.detached,
    )
    await app.stop()
    _logger.info("stopped")

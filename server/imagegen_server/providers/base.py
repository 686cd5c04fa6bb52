"""The seam between the server and a provider. A provider is one class with one async generator.

Fan-out, validation against capabilities, warnings, partial success, the log and the chunks are written once, outside.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import ClassVar, Generic, Protocol, TypeVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import HttpClient


class Log(Protocol):
    """Where a provider may log: never a prompt, a key or image bytes."""

    def info(self, event: str, **facts: object) -> object:
        """Log something worth knowing in operation."""

    def debug(self, event: str, **facts: object) -> object:
        """Log something worth knowing in development."""


async def cannot_fetch(_url: str) -> bytes:
    """Stand for the fetcher of images where there is none.

    :raises ImageError: INVALID_RESPONSE
    """
    raise ImageError(Reason.INVALID_RESPONSE, "the provider answered a URL, and nothing here fetches it")


@dataclass(frozen=True, slots=True)
class Call:
    """What belongs to one attempt rather than to its task.

    `deadline` is a value of time.monotonic(), in seconds; the server itself ends the attempt then.
    `accepted` must be called as soon as the provider has taken the task on and may bill it, with the provider's own
    request id if it told one. What fails before counts as not billed if the error says so; what fails after never is
    sent again.
    `http` reaches the base URL of the provider's table and `key` is the key for this attempt; both are None for a
    provider that declares no `ProviderType.remote`. `number` counts the attempts at the same images from 1. `fetch`
    gets the bytes of an image that the provider answered as a URL, without the provider's key; it raises ImageError.
    `idempotency_key` names this attempt at these images and no other, for vendors that know such a key: 32 hex digits.
    """

    deadline: float
    log: Log
    accepted: Callable[[str], None]
    http: HttpClient | None = None
    key: Secret | None = None
    number: int = 1
    fetch: Callable[[str], Awaitable[bytes]] = cannot_fetch
    idempotency_key: str = ""


class Provider(ABC):
    """A provider under one name of the configuration.

    Adapters raise nothing but ImageError on purpose; anything else is reported as INTERNAL_ERROR. They do not retry.
    """

    param_options: ClassVar[Mapping[str, str]] = {}
    """Params that say what an option says, by the name of that option: {"n": "count"}."""

    controlled_params: ClassVar[frozenset[str]] = frozenset()
    """Params that the adapter must set itself; a caller who gives one is refused."""

    uses_image_metadata: ClassVar[bool] = False
    """The adapter reads InputImage.metadata under its name; if not, metadata given for it is warned about."""

    @abstractmethod
    def model(self, model_id: str) -> Model:
        """Tell what is known of any id, without input or output; `known` is False for one never seen."""

    @abstractmethod
    async def models(self) -> Sequence[Model]:
        """List the models that are known without asking anybody.

        :raises ImageError: they cannot be told now
        """

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:  # noqa: ARG002
        """List the models as the vendor publishes them, where it does; free of charge. `http` and `key` as in Call.

        What it returns is remembered for some minutes. The default asks nobody.

        :raises ImageError: the vendor's own list cannot be read
        """
        return await self.models()

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """Hold a task against what the vendor takes, before anything is spent; without input or output.

        Returns the task as it will be run, and what is not done as asked. Called with the count of the whole
        generation. The default takes every task as it is.

        :raises ImageError: INVALID_REQUEST with violations ("params.<provider>.x", "options.size", ...)
        """
        return task, ()

    def images_per_request(self, task: Task) -> int:
        """Tell how many images one request for such a task can make; more are asked for in several, side by side.

        The default is what the model's capabilities say, or 1.
        """
        return self.model(task.model).capabilities.max_images or 1

    @abstractmethod
    def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Do the task: yield progress and previews as they come, then every image as Complete or Failed.

        Cancelling or closing the generator must close what it holds open at the provider, at once. Explain runs it too,
        if `call.http` is there, with one that sends nothing and ends it: nothing else in it may cost.

        :raises ImageError: no further image will come
        """

    async def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of connections and threads. Called once, when the server stops."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """What would be sent, in a form to be shown: without keys, images as digests. `method` may be "GRPC"."""

    method: str
    url: str
    body: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Models, and providers behind the provider whose models are missing among them, by their names there."""

    models: Sequence[Model]
    unreachable: Mapping[str, Reason] = field(default_factory=dict)


class SelfConnected(Provider):
    """A provider that reaches its vendor by itself (`Remote.http` is False) and can ask it what it has.

    What it answers of models is remembered for some minutes. It is asked for a model that nothing is known of before
    each wish for it, so that the wish can be held against what the model can do.
    """

    @abstractmethod
    async def fetch_models(self, key: Secret | None) -> Listing:
        """List the models as the vendor has them now, free of charge. `key` as in Call.

        :raises ImageError: the list cannot be had
        """

    @abstractmethod
    async def fetch_model(self, model_id: str, key: Secret | None) -> Model:
        """Ask what one model can do, free of charge.

        :raises ImageError: it cannot be told
        """

    @abstractmethod
    def unsent(self, task: Task, call: Call) -> Unsent:
        """Tell what `run` would send first. Costs nothing and sends nothing."""


SettingsT = TypeVar("SettingsT")


@dataclass(frozen=True, slots=True)
class Remote(Generic[SettingsT]):
    """How a kind of provider is reached by HTTP, unless its table says otherwise.

    `base_url` "" = the table must say it, or `base_url_of` tells it from the provider's own settings (a region, a
    project); it raises ValueError beginning with the name of the setting that is wrong or missing.
    `key_env` names the usual environment variable of the key, which enables the provider without a table.
    `settings_env` names such variables of settings, by setting: {"region": ("AWS_REGION", "AWS_DEFAULT_REGION")}; the
    first that is set counts, and what a table says goes before it.
    `key_required` may depend on the settings, where there are other ways to prove who asks; `without_key` tells an
    operator of them: "install x, and requests are signed".
    `key_refused` tells why a key must not be sent to where the settings lead, beginning with the name of the setting
    that is in the way; "" = it may.
    `http` False: the adapter reaches it by itself (SelfConnected), with a key: of what tables of remote providers have,
    its table has `api_key` and `key_strategy` only, and `Call.http` is None. `base_url_of` tells where it is.
    """

    base_url: str = ""
    key_env: str = ""
    key_required: bool | Callable[[SettingsT], bool] = True
    base_url_of: Callable[[SettingsT], str] | None = None
    settings_env: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    without_key: str = ""
    key_refused: Callable[[SettingsT], str] | None = None
    http: bool = True


@dataclass(frozen=True, slots=True)
class ProviderType(Generic[SettingsT]):
    """What an entry point of the group `imagegen.providers` names: a kind of provider that config can set up.

    `settings` is a frozen dataclass whose fields are the keys of the provider's table in the configuration, besides
    those that every provider has (type, timeout, concurrency, queue, requests_per_minute, retry) and those that every
    remote one has (base_url, api_key, key_strategy, headers, proxy, ca, engine); config fills it. `build` gets the
    provider's configured name.
    `implicit_on_loopback`: enabled without a table of its own while the server listens on loopback only.
    """

    name: str
    settings: type[SettingsT]
    build: Callable[[str, SettingsT], Provider]
    implicit_on_loopback: bool = False
    remote: Remote[SettingsT] | None = None


@dataclass(frozen=True, slots=True)
class NoSettings:
    """For a kind of provider whose table has no keys of its own."""


def built_by(path: str) -> Callable[[str, SettingsT], Provider]:
    """Build a provider by the class at "package.module:Class", which is imported when the first one is set up.

    So an adapter costs nothing at start-up unless it is configured.
    """

    def build(name: str, settings: SettingsT) -> Provider:
        module, _, attribute = path.partition(":")
        provider: Provider = getattr(import_module(module), attribute)(name, settings)
        return provider

    return build

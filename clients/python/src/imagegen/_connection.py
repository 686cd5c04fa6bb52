"""The way to a server: address, TLS, token, channel."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from imagegen._authorization import authorization, authorization_interceptors
from imagegen._image import MAX_IMAGE_BYTES
from imagegen._version import __version__
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc

if TYPE_CHECKING:
    from imagegen.v1.image_service_pb2_grpc import ImageServiceAsyncStub
    from imagegen.v1.model_service_pb2_grpc import ModelServiceAsyncStub

_CallT = TypeVar("_CallT", bound=grpc.aio.Call)

DEFAULT_ADDRESS: Final = "127.0.0.1:50051"
"""Where a server listens that was started without configuration."""
ADDRESS_VARIABLE: Final = "IMAGEGEN_ADDRESS"
"""The environment variable that names the server when the caller does not."""

_REPEATABLE: Final = (descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS, descriptor_pb2.MethodOptions.IDEMPOTENT)
_HEADROOM_BYTES: Final = 1024 * 1024  # facts and framing around the largest image
_CLOSE_SECONDS: Final = 1.0  # for what the server is to be told yet
_KEEPALIVE_MS: Final = 30_000
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
# Any other scheme may lead anywhere, and so may a list of addresses.
_HOST: Final = re.compile(r"(?:(?:dns|ipv4|ipv6):(?://[^/]*/)?)?(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:/,]+))(?::\d+)?")
_HOST_ALONE: Final = re.compile(r"(?:\[[^\]]*\]|[^:/,\[\]]+):?")


class Reader(Protocol):
    """What is told when the connection is closed."""

    def leave(self) -> object:
        """Read no more."""


class Connection:
    """One channel, made on first use so that it belongs to the event loop that uses it."""

    def __init__(
        self,
        address: str | None,
        *,
        tls: bool | grpc.ChannelCredentials,
        token: str | None,
        timeout: float | None,
        metadata: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        """Decide where to connect and how; nothing is sent yet.

        Raises:
            ValueError: the address is a URL or has no port, or a token would travel in clear text beyond this machine.
        """
        self.address = address or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
        if self.address.startswith(("http://", "https://")):
            raise ValueError(f"the address is host:port, not a URL: {self.address!r}; TLS is asked for with tls=True")
        if lacks_port(self.address):
            msg = f"{self.address!r} has no port: the address is host:port, such as 'localhost:50051' or '[::1]:50051'"
            raise ValueError(msg)
        self._credentials = grpc.ssl_channel_credentials() if tls is True else tls or None
        self._loopback = is_loopback(self.address)
        if token and self._credentials is None and not self._loopback:
            msg = f"a token is sent over TLS or to this machine only, and {self.address} is neither: use tls=True"
            raise ValueError(msg)
        self._token = token
        self._metadata = metadata
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: grpc.aio.Channel | None = None
        self._images: ImageServiceAsyncStub | None = None
        self._open_channel: grpc.aio.Channel | None = None
        self._calls: weakref.WeakSet[grpc.aio.Call] = weakref.WeakSet()
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._background: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def images(self) -> ImageServiceAsyncStub:
        """The image service, for `call`."""
        channel = self._core()
        if self._images is None:  # making one costs more than a small call
            self._images = image_service_pb2_grpc.ImageServiceStub(channel)
        return self._images

    @property
    def models(self) -> ModelServiceAsyncStub:
        """The model service, for `call`."""
        return model_service_pb2_grpc.ModelServiceStub(self._core())

    def timeout(self, given: float | None) -> float | None:
        """Seconds for a call: its own limit, else the client's, else none."""
        return self._timeout if given is None else given

    def call(self, method: Callable[..., _CallT], request: Message, limit: float | None) -> _CallT:
        """Begin a call of a method of `images` or `models`, with the token, within `limit` seconds."""
        metadata = authorization(self._token)
        if self._metadata is not None:
            metadata = (*metadata, *self._metadata().items())
        call = method(request, metadata=metadata, timeout=self.timeout(limit))
        self._calls.add(call)
        return call

    def open_channel(self) -> grpc.aio.Channel:
        """A channel for stubs of the user's own: every call on it carries the token by itself."""
        if self._token is None:
            return self._core()
        self._check_loop()
        if self._open_channel is None:
            # Apart from our own calls, as an intercepted call hides how the real one ended.
            self._open_channel = self._make(authorization_interceptors(self._token))
        return self._open_channel

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def track(self, reader: Reader) -> None:
        """Let `reader` leave when the connection is closed."""
        self._readers.add(reader)

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that nobody need wait for; closing the connection gives it a moment to end."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever waits for the task is told, and there may be nobody

    async def close(self) -> None:
        """End every call and the connection. More than once is fine."""
        self._closed = True
        for reader in list(self._readers):
            reader.leave()
        if self._background:
            await asyncio.wait(self._background, timeout=_CLOSE_SECONDS)
        # Older versions of grpc do not find every call that they should end here, and its reader would wait for ever.
        for call in list(self._calls):
            call.cancel()
        channels = [channel for channel in (self._channel, self._open_channel) if channel is not None]
        self._channel = self._images = self._open_channel = None
        for channel in channels:
            await channel.close()

    def _core(self) -> grpc.aio.Channel:
        self._check_loop()
        if self._channel is None:
            self._channel = self._make(())
        return self._channel

    def _check_loop(self) -> None:
        """A channel of one event loop hangs in another; better to say so."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise RuntimeError("the client was used in another event loop before: make one client for each")

    def _make(self, interceptors: Sequence[grpc.aio.ClientInterceptor]) -> grpc.aio.Channel:
        if self._closed:
            raise RuntimeError("the client is closed")
        options = _channel_options(loopback=self._loopback)
        if self._credentials is None:
            return grpc.aio.insecure_channel(self.address, options=options, interceptors=interceptors)
        return grpc.aio.secure_channel(self.address, self._credentials, options=options, interceptors=interceptors)


def is_loopback(address: str) -> bool:
    """Whether what is sent to a gRPC target stays on this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    found = _HOST.fullmatch(address)
    if found is None:
        return False
    if found["name"] == "localhost":
        return True
    try:
        return ipaddress.ip_address(found["v6"] or found["name"]).is_loopback
    except ValueError:
        return False


def lacks_port(address: str) -> bool:
    """Whether this is a host alone, for which gRPC would take port 443. Targets with a scheme are meant so."""
    if _HOST_ALONE.fullmatch(address):
        return True
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def service_config() -> str:
    """Retries for the methods that declare that they may be called twice, and for no other: those may cost money."""
    free = [
        {"service": service.full_name, "method": method.name}
        for service in _services()
        for method in service.methods
        if method.GetOptions().idempotency_level in _REPEATABLE
    ]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": [grpc.StatusCode.UNAVAILABLE.name],
    }
    return json.dumps({"methodConfig": [{"name": free, "retryPolicy": policy}]})


def _services() -> list[ServiceDescriptor]:
    files = (image_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR)
    return [service for file in files for service in file.services_by_name.values()]


def _channel_options(*, loopback: bool) -> list[tuple[str, str | int]]:
    options: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", MAX_IMAGE_BYTES + _HEADROOM_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        # Only while a call runs: a stock server ends connections that ping for nothing.
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.service_config", service_config()),
        ("grpc.primary_user_agent", f"imagegen-python/{__version__}"),
    ]
    if loopback:
        # A proxy from the environment is no way to one's own machine, and must not see a token sent in clear text.
        options.append(("grpc.enable_http_proxy", 0))
    return options

"""What stands around a driver: servers, a bad line, a provider that counts, files."""

import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc

from tests.support.callers import Safe, hash_of
from tests.support.process import server_process
from tests.support.redis_server import redis_server
from tests.support.tcp_relay import TcpRelay
from tests.support.wrong_clock import wrong_clock

from .casebook import Case, fill
from .scripted import ScriptedServer, scripted_server
from .upstream import KEY, Upstream, counted_upstream

# Pictures that are too large to be kept beside the cases, and their bytes: one that is uploaded in several pieces, one
# that no default limit of a message lets through.
_MADE: Final = {"big.png": 2_000_000, "large.png": 12_000_000}
_CA: Final = "ca.pem"
_CALLERS: Final = 200


@dataclass(frozen=True)
class Surroundings:
    """Everything that the cases of one run share."""

    addresses: Sequence[str]
    """Of the servers with sandbox and the counted provider: one, or two that share a Redis."""
    guarded: Sequence[str]
    """Of the servers with TLS and tokens: one, or two that share a Redis."""
    ca_file: Path
    tokens: Iterator[str]
    """One for each case at those, of a caller who may ask for one image in a minute."""
    upstream: Upstream
    images: "image_service_pb2_grpc.ImageServiceAsyncStub"
    """The runner's own plain stub of the last of them."""
    files: Mapping[str, Path]
    """By the names that cases use, beside those in images/."""


@dataclass(frozen=True)
class Place:
    """Where one case happens."""

    addresses: Sequence[str]
    """Each act of the case is at the next of them."""
    step: Mapping[str, Any] = field(default_factory=dict)
    """What every step of the case has: with a guarded server its token and root."""
    relay: TcpRelay | None = None
    script: ScriptedServer | None = None


@asynccontextmanager
async def surroundings(folder: Path, *, two: bool, skew: float = 0.0) -> AsyncIterator[Surroundings]:
    """Start everything; `folder` takes files and logs. `two`: servers, with a Redis that they share.

    `skew`: by so many seconds the clock of the second server is ahead.
    """
    async with AsyncExitStack() as stack:
        shared = {"IMAGEGEN__STORE__URL": stack.enter_context(redis_server()).url} if two else {}
        clock = stack.enter_context(wrong_clock(skew))
        upstream = await stack.enter_async_context(counted_upstream())
        safe = Safe(folder)
        given = [f"igt_{number}" for number in range(_CALLERS)]
        tls, tokens = safe.tls(), safe.tokens("".join(map(_caller, given)))
        safe.authority.cert_pem.write_to_path(str(folder / _CA))
        counted = {
            "TYPE": "openai",
            "BASE_URL": upstream.base_url,
            "API_KEY": '{"env": "CONFORMANCE_KEY"}',
            "RETRY__STRATEGY": "none",
        }
        guards = {
            "IMAGEGEN__SERVER__TLS__CERT": str(tls.cert),
            "IMAGEGEN__SERVER__TLS__KEY": str(tls.key),
            "IMAGEGEN__SERVER__TOKENS__FILE": str(tokens.file),
        }
        addresses, guarded = [], []
        for name in ("first", "second") if two else ("first",):
            (folder / name).mkdir()
            server = await stack.enter_async_context(
                server_process(
                    folder / name,
                    CONFORMANCE_KEY=KEY,
                    IMAGEGEN__PROVIDERS__SANDBOX__RETRY__STRATEGY="none",
                    **{f"IMAGEGEN__PROVIDERS__COUNTED__{name}": value for name, value in counted.items()},
                    **shared,
                    **(clock if name == "second" else {}),
                )
            )
            addresses.append(server.address)
            (folder / name / "guarded").mkdir()
            server = await stack.enter_async_context(server_process(folder / name / "guarded", **guards, **shared))
            guarded.append(server.address)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(addresses[-1]))
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        files = {name: folder / name for name in _MADE}
        for name, size in _MADE.items():
            files[name].write_bytes(await _picture(images, size))
        yield Surroundings(addresses, guarded, folder / _CA, iter(given), upstream, images, files)


@asynccontextmanager
async def place(case: Case, run: str, around: Surroundings) -> AsyncIterator[Place]:
    """Set up what one case needs for itself."""
    around.upstream.begin()
    if script := case.data.get("script"):
        async with scripted_server(fill(script["replies"], run, (), around.files)) as scripted:
            yield Place([scripted.address], script=scripted)
    elif case.data.get("guarded"):
        yield Place(around.guarded, {"token": next(around.tokens), "caFile": str(around.ca_file)})
    elif case.data.get("line"):
        async with TcpRelay(around.addresses[0]) as relay:
            yield Place([relay.address, *around.addresses[1:]], relay=relay)
    elif case.data.get("nobody"):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else can take it
            yield Place([f"127.0.0.1:{taken.getsockname()[1]}"])
    else:
        yield Place(around.addresses)


def _caller(token: str) -> str:
    return f'[callers.{token}]\ntokens = ["{hash_of(token)}"]\nimages_per_minute = 1\n'


async def _picture(images: "image_service_pb2_grpc.ImageServiceAsyncStub", size: int) -> bytes:
    wish = image_service_pb2.GenerateRequest(model="sandbox/bytes", input=image_pb2.ImageInput(prompt="a boat"))
    wish.params["sandbox"].update({"size_bytes": size})
    wish.delivery.mode = image_pb2.DELIVERY_MODE_REFERENCE
    made = (await images.Generate(wish)).images[0].image
    pieces = images.ReadImage(image_service_pb2.ReadImageRequest(image_id=made.image_id))
    return b"".join([piece.data async for piece in pieces])

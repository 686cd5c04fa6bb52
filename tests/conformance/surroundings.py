"""What stands around a driver: servers, a bad line, a provider that counts, files."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc

from tests.support.callers import TOKEN, Safe
from tests.support.process import server_process
from tests.support.tcp_relay import TcpRelay

from .casebook import Case, fill
from .scripted import ScriptedServer, scripted_server
from .upstream import KEY, Upstream, counted_upstream

# Pictures that are too large to be kept beside the cases, and their bytes: one that is uploaded in several pieces, one
# that no default limit of a message lets through.
_MADE: Final = {"big.png": 2_000_000, "large.png": 12_000_000}
_CA: Final = "ca.pem"


@dataclass(frozen=True)
class Surroundings:
    """Everything that the cases of one run share."""

    address: str
    """Of the server with sandbox and the counted provider."""
    guarded: str
    """Of the server with TLS and tokens."""
    ca_file: Path
    upstream: Upstream
    images: "image_service_pb2_grpc.ImageServiceAsyncStub"
    """The runner's own plain stub of the first server."""
    files: Mapping[str, Path]
    """By the names that cases use, beside those in images/."""


@dataclass(frozen=True)
class Place:
    """Where one case happens."""

    step: Mapping[str, Any]
    """What every step of the case has: address, and with a guarded server its token and root."""
    relay: TcpRelay | None = None
    script: ScriptedServer | None = None


@asynccontextmanager
async def surroundings(folder: Path) -> AsyncIterator[Surroundings]:
    """Start everything; `folder` takes files and logs."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(counted_upstream())
        safe = Safe(folder)
        tls, tokens = safe.tls(), safe.tokens()
        safe.authority.cert_pem.write_to_path(str(folder / _CA))
        counted = {
            "TYPE": "openai",
            "BASE_URL": upstream.base_url,
            "API_KEY": '{"env": "CONFORMANCE_KEY"}',
            "RETRY__STRATEGY": "none",
        }
        (folder / "open").mkdir()
        (folder / "guarded").mkdir()
        server = await stack.enter_async_context(
            server_process(
                folder / "open",
                CONFORMANCE_KEY=KEY,
                IMAGEGEN__PROVIDERS__SANDBOX__RETRY__STRATEGY="none",
                **{f"IMAGEGEN__PROVIDERS__COUNTED__{name}": value for name, value in counted.items()},
            )
        )
        guarded = await stack.enter_async_context(
            server_process(
                folder / "guarded",
                IMAGEGEN__SERVER__TLS__CERT=str(tls.cert),
                IMAGEGEN__SERVER__TLS__KEY=str(tls.key),
                IMAGEGEN__SERVER__TOKENS__FILE=str(tokens.file),
            )
        )
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        files = {name: folder / name for name in _MADE}
        for name, size in _MADE.items():
            files[name].write_bytes(await _picture(images, size))
        yield Surroundings(server.address, guarded.address, folder / _CA, upstream, images, files)


@asynccontextmanager
async def place(case: Case, run: str, around: Surroundings) -> AsyncIterator[Place]:
    """Set up what one case needs for itself."""
    around.upstream.begin()
    if script := case.data.get("script"):
        async with scripted_server(fill(script["replies"], run, (), around.files)) as scripted:
            yield Place({"address": scripted.address}, script=scripted)
    elif case.data.get("guarded"):
        yield Place({"address": around.guarded, "token": TOKEN, "caFile": str(around.ca_file)})
    elif case.data.get("line"):
        async with TcpRelay(around.address) as relay:
            yield Place({"address": relay.address}, relay=relay)
    elif case.data.get("nobody"):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else can take it
            yield Place({"address": f"127.0.0.1:{taken.getsockname()[1]}"})
    else:
        yield Place({"address": around.address})


async def _picture(images: "image_service_pb2_grpc.ImageServiceAsyncStub", size: int) -> bytes:
    wish = image_service_pb2.GenerateRequest(model="sandbox/bytes", input=image_pb2.ImageInput(prompt="a boat"))
    wish.params["sandbox"].update({"size_bytes": size})
    wish.delivery.mode = image_pb2.DELIVERY_MODE_REFERENCE
    made = (await images.Generate(wish)).images[0].image
    pieces = images.ReadImage(image_service_pb2.ReadImageRequest(image_id=made.image_id))
    return b"".join([piece.data async for piece in pieces])

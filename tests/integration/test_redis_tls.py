"""A Redis by TLS, as `rediss://`: servers share it, and whatever is wrong with it is said at the start."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import trustme
from imagegen.v1 import image_service_pb2_grpc

from tests.support.authority import issue
from tests.support.calls import generate, watch
from tests.support.docs_page import Page
from tests.support.faults_setup import first, joined, read_image, resume
from tests.support.process import COMMAND, server_process
from tests.support.redis_server import RedisServer, free_port, redis_server

PASSWORD = "hunter2-secret"
WRONG_PASSWORD = "wrong-secret"
USER, USER_PASSWORD = "imagegen", "hunter3-secret"
RIGHTS = "~imagegen:* +@all -@dangerous +info"
PATIENCE = 30.0


@dataclass(frozen=True)
class Guarded:
    """A Redis that is reached by TLS and with a password, under the name localhost alone."""

    redis: RedisServer
    folder: Path
    port: int
    files: tuple[str, ...]
    """What tells a Redis of its certificate."""

    def environment(self, url: str = "", *, ca: str = "right.pem", password: str = PASSWORD) -> dict[str, str]:
        """Set a server up with it. `ca`: a file beside the certificates, "" = none is named."""
        keys = {
            "URL": url or f"rediss://localhost:{self.port}",
            "PASSWORD": '{"env": "STORE_PASSWORD"}',
            "PREFIX": f"imagegen:{secrets.token_hex(8)}",
            "CA": str(self.folder / ca) if ca else "",
        }
        named = {f"IMAGEGEN__STORE__{key}": value for key, value in keys.items() if value}
        return {**named, "STORE_PASSWORD": password}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Start one for all tests here."""
    folder = tmp_path_factory.mktemp("redis-tls")
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(str(folder / "right.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "wrong.pem"))
    pair = issue(authority, "localhost")
    (folder / "redis.pem").write_bytes(pair.chain)
    (folder / "redis.key").write_bytes(pair.key)
    files = {"cert-file": "redis.pem", "key-file": "redis.key", "ca-cert-file": "right.pem"}
    options = tuple(part for name, file in files.items() for part in (f"--tls-{name}", str(folder / file)))
    with redis_server(
        *("--tls-port", str(port), *options, "--tls-auth-clients", "no", "--requirepass", PASSWORD),
        *("--user", USER, "on", f">{USER_PASSWORD}", *RIGHTS.split()),
        tcp=True,
    ) as redis:
        yield Guarded(redis, folder, port, options)


@asynccontextmanager
async def serving(
    folder: Path, name: str, environment: dict[str, str]
) -> AsyncIterator["image_service_pb2_grpc.ImageServiceAsyncStub"]:
    """Run a server process, and give stubs to call it."""
    (folder / name).mkdir()
    async with (
        server_process(folder / name, **environment) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield image_service_pb2_grpc.ImageServiceStub(channel)
        assert environment["STORE_PASSWORD"] not in server.log.read_text()


async def refused(environment: dict[str, str]) -> str:
    """Tell what a server says that does not start with this: one line, status 1, nothing of the password."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "serve", "--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    async with asyncio.timeout(PATIENCE):
        stdout, stderr = await process.communicate()
    said = stderr.decode()
    assert (process.returncode, stdout) == (1, b""), said
    assert environment["STORE_PASSWORD"] not in said
    assert len(said.splitlines()) == 1, said
    return said


@pytest.mark.parametrize("user", ["", USER])
async def test_two_servers_share_it(guarded: Guarded, tmp_path: Path, user: str) -> None:
    """By the default user, and by one with the rights that the docs name: one buys, the other reads all of it."""
    given = guarded.environment(
        f"rediss://{user}{'@' if user else ''}localhost:{guarded.port}/0", password=USER_PASSWORD if user else PASSWORD
    )
    request = generate("sandbox/scene", options={"size": {"width": 64, "height": 64}}, request_id="mine")
    async with serving(tmp_path, "one", given) as one, serving(tmp_path, "other", given) as other:
        before = await first(one.StreamGenerate(request), 2)
        seen = await watch(joined(before, other.Resume(resume(before[-1].sequence, request_id="mine"))))
        again = await other.Generate(request)

        assert f"user imagegen on >PASSWORD {RIGHTS}`" in Page("scaling.md").sentences
        image = seen.result.images[0].image
        assert again.images[0].image.image_id == image.image_id
        assert await read_image(other, image.image_id) == seen.images[0]


@pytest.mark.parametrize(
    ("url", "ca", "said"),
    [
        ("rediss://localhost:{tls}", "wrong.pem", "has a certificate that is not trusted: self-signed certificate"),
        ("rediss://localhost:{tls}", "", "store.ca names who is trusted"),
        ("rediss://127.0.0.1:{tls}", "right.pem", "has a certificate for another host: IP address mismatch"),
        ("redis://localhost:{tls}", "", "hangs up: "),
        ("redis://localhost:{tls}", "", "with TLS it is rediss://"),
        ("rediss://localhost:{clear}", "right.pem", "does not answer: Timeout connecting to server; without TLS it is"),
        ("rediss://nobody@localhost:{tls}", "right.pem", "does not take the user of store.url with store.password"),
    ],
)
async def test_what_is_wrong_is_said_at_the_start(guarded: Guarded, url: str, ca: str, said: str) -> None:
    """An authority, a host, a protocol or a user that is not theirs: in words, without the password, status 1."""
    ports = {"tls": guarded.port, "clear": guarded.redis.port}
    url = url.format(**ports)

    line = await refused(guarded.environment(url, ca=ca))

    assert line.startswith(f"imagegen-server: store.url: {url} ")
    assert said.format(**ports) in line


async def test_a_wrong_password_is_said_at_the_start(guarded: Guarded) -> None:
    """And not repeated, nor the right one."""
    line = await refused(guarded.environment(password=WRONG_PASSWORD))

    assert "does not take the user of store.url with store.password: invalid username-password pair" in line
    assert PASSWORD not in line


async def test_a_redis_that_asks_for_a_certificate_is_told_of(guarded: Guarded) -> None:
    """It is what Redis does unless it is told otherwise; the setting of Redis is named."""
    port = free_port()
    with redis_server("--tls-port", str(port), *guarded.files, "--requirepass", PASSWORD):
        line = await refused(guarded.environment(f"rediss://localhost:{port}"))

    assert "hangs up: " in line
    assert "if it asks for a certificate, set its `tls-auth-clients no`" in line

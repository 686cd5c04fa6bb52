"""Servers that share a Redis, and what Redis says of its work and its memory."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import Program, cpu_seconds, program
from redis import Redis

from tests.support.redis_server import RedisServer, redis_server
from tests.support.tools import PATH

MAX_BYTES = "256MiB"
"""What servers keep: little, so that few calls fill it, and enough for 64 images that are being made."""

MEMORY = "memory://"


@dataclass(frozen=True, slots=True)
class Account:
    """What a Redis has done so far: seconds of its processor, and bytes that came and went."""

    cpu: float = 0.0
    came: int = 0
    went: int = 0

    def since(self, earlier: "Account") -> "Account":
        """Tell what it has done meanwhile."""
        return Account(self.cpu - earlier.cpu, self.came - earlier.came, self.went - earlier.went)


class Shared:
    """A Redis that runs, on loopback TCP as a Redis elsewhere would be reached."""

    def __init__(self, server: RedisServer) -> None:
        """Connect to it."""
        self.url = f"redis://127.0.0.1:{server.port}/0"
        assert server.process is not None
        self._pid = server.process.pid
        self._client = Redis.from_url(server.url)

    def account(self) -> Account:
        """Tell what it has done so far."""
        told = self._info("stats")
        return Account(cpu_seconds(self._pid), told["total_net_input_bytes"], told["total_net_output_bytes"])

    def used_memory(self) -> int:
        """Bytes that its allocator has given out, without buffers of connections."""
        told = self._info("memory")
        return int(told["used_memory"]) - int(told["mem_clients_normal"])

    def counted(self) -> int:
        """Bytes that the store counts as kept."""
        kept = self._client.hmget("imagegen:room", ["kept", "spare"])
        return sum(int(one or 0) for one in kept)

    def version(self) -> str:
        """Tell its version."""
        return str(self._info("server")["redis_version"])

    def _info(self, part: str) -> dict[str, int]:
        found: dict[str, int] = self._client.info(part)
        return found


def require_redis() -> None:
    """End the program if there is no redis-server."""
    if shutil.which("redis-server", path=PATH) is None:
        sys.exit("the benchmark needs redis-server. Run: sudo apt-get install -y redis-server")


@contextmanager
def shared_redis() -> Iterator[Shared]:
    """Run an empty Redis until the block ends."""
    with redis_server(tcp=True) as server:
        yield Shared(server)


@contextmanager
def serving(
    name: str,
    upstream: Program,
    directory: Path,
    store: str = MEMORY,
    *,
    workers: int = 1,
    mode: str = "plain",
    settings: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """Run `imagegen-server serve`, on any core, with the provider `openai` at the upstream, until the block ends.

    `settings`: more of them, by the names of the environment without the prefix.
    """
    command = [str(Path(sys.executable).with_name("imagegen-server")), "serve", "--listen", "127.0.0.1:0"]
    environment = {
        "OPENAI_API_KEY": "bench",
        "IMAGEGEN__PROVIDERS__OPENAI__BASE_URL": f"http://{upstream.address}/{mode}/v1",
        "IMAGEGEN__STORE__URL": store,
        "IMAGEGEN__STORE__MAX_BYTES": MAX_BYTES,
        **{f"IMAGEGEN__{name}": value for name, value in (settings or {}).items()},
    }
    command += ["--workers", str(workers)] if workers > 1 else []
    log = directory / f"{name}-{os.urandom(4).hex()}.log"
    with program(name, command, None, log, environment) as server:
        yield server

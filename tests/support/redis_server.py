"""A Redis server of the tests' own, on a unix socket in a folder of its own."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .tools import find, require


@dataclass
class RedisServer:
    """A server that can be stopped and started again, empty."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = 0
    """0 = none but the socket."""
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"unix://{self.folder}/socket"

    def start(self) -> None:
        """Start it, with nothing in it, and wait until it takes commands."""
        self.process = subprocess.Popen(
            [
                find("redis-server"),
                *(
                    "--port",
                    str(self.port),
                    "--bind",
                    "127.0.0.1",
                    "--unixsocket",
                    f"{self.folder}/socket",
                    "--dir",
                    str(self.folder),
                ),
                *("--save", "", "--appendonly", "no", *self.options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "eady to accept connections" in line:
                return
        raise AssertionError("".join(said))

    def stop(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@contextmanager
def redis_server(*options: str, tcp: bool = False) -> Iterator[RedisServer]:
    """Run a Redis server until the block ends; `tcp`: on a loopback port, too.

    Skips the test where there is none, and fails it in CI.
    """
    require("redis-server")
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    server = RedisServer(folder, options, free_port() if tcp else 0)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def free_port() -> int:
    """Find a port that nobody has; Redis cannot be asked for any."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port

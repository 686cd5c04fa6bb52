"""What supervisor and worker say to each other, over a pair of sockets.

The supervisor sends the orders, one line. The worker sends one line when it serves, and then one a second as a sign of
life, to its end. When the supervisor's side ends, be
it shut on purpose or because its process was killed, the worker drains and ends.
"""

import asyncio
import json
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Self

SERVING = b"serving\n"
ALIVE = b"alive\n"
BEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Orders:
    """All that a worker is told; the rest is the environment.

    `config_text` is what the file at `config_path` said when the supervisor was started, so that a worker which is
    started later serves by the same settings. `listen` has the real port.
    """

    worker: int
    workers: int
    listen: str
    config_path: str | None = None
    config_text: str | None = None
    allow_insecure: bool = False

    def encoded(self) -> bytes:
        """Write them as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"


class WorkerLink:
    """The worker's end."""

    def __init__(self, descriptor: int) -> None:
        """Take the end that was handed over at the start; programs that this process runs do not get it."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
        self._socket.set_inheritable(False)
        self._living: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        if self._living is not None:
            self._living.cancel()
        self._socket.close()

    def orders(self) -> Orders:
        """Wait for the orders.

        :raises EOFError: the supervisor has gone
        """
        with self._socket.makefile("rb") as lines:
            line = lines.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return Orders(**json.loads(line))

    def say_serving(self) -> None:
        """Tell the supervisor, and give signs of life from now on as long as the event loop turns."""
        self._socket.sendall(SERVING)
        self._socket.settimeout(0)
        self._living = asyncio.get_running_loop().create_task(self._live())

    async def told_to_stop(self) -> None:
        """Wait until the supervisor wants no more, or has gone."""
        self._socket.settimeout(0)
        loop = asyncio.get_running_loop()
        try:
            while await loop.sock_recv(self._socket, 1):
                pass
        except OSError:
            return  # it has gone

    async def _live(self) -> None:
        """Say something again and again. One whose loop stands still says nothing."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                await loop.sock_sendall(self._socket, ALIVE)

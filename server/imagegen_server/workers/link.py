"""What supervisor and worker say to each other, over a pair of sockets.

The supervisor sends the orders, one line. The worker sends one line when it serves. When the supervisor's side ends, be
it shut on purpose or because its process was killed, the worker drains and ends.
"""

import asyncio
import json
import socket
from dataclasses import asdict, dataclass
from typing import Self

SERVING = b"serving\n"


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

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
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
        """Tell the supervisor."""
        self._socket.sendall(SERVING)

    async def told_to_stop(self) -> None:
        """Wait until the supervisor wants no more, or has gone."""
        self._socket.settimeout(0)
        loop = asyncio.get_running_loop()
        try:
            while await loop.sock_recv(self._socket, 1):
                pass
        except OSError:
            return  # it has gone

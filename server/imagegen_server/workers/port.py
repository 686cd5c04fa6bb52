"""A TCP address that the workers share."""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

_TRIES = 20
"""For a port that is free under every address of a name."""
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""This machine has no such address, such as ::1 where IPv6 is off. grpc leaves it out, too."""


class SharedPort:
    """Keeps an address for this program, without listening on it: the kernel deals connections to who listens.

    While it is kept no other program gets the port, also when no worker is left; workers get it, because they share it
    knowingly (SO_REUSEPORT) and belong to the same user.
    """

    def __init__(self, listen: str) -> None:
        """Take the address: "host:port", port 0 = any free one.

        :raises OSError: it is taken, or this machine has no such address
        """
        host, _, port = listen.rpartition(":")
        self._kept = ExitStack()
        try:
            number = self._take(host.strip("[]"), int(port))
        except OSError as problem:
            raise OSError(f"cannot listen on {listen}: {problem.strerror or problem}") from problem
        self.address = f"{host}:{number}"
        """With the real port."""

    def __enter__(self) -> Self:
        """Keep it until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._kept.close()

    def _take(self, host: str, port: int) -> int:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        places = list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))
        for left in reversed(range(_TRIES if port == 0 else 1)):
            try:
                return self._take_all(places, port)
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE or not left:
                    raise
        raise AssertionError

    def _take_all(self, places: Sequence[tuple[int, str]], port: int) -> int:
        missing: OSError | None = None
        with ExitStack() as taken:
            for family, host in places:
                try:
                    one = taken.enter_context(_exclusive(family, host, port))
                except OSError as problem:
                    if problem.errno not in _NO_SUCH_ADDRESS:
                        raise
                    missing = problem
                else:
                    port = one.getsockname()[1]
            if missing and not port:
                raise missing
            self._kept = taken.pop_all()
        return port


def _exclusive(family: int, host: str, port: int) -> socket.socket:
    """Bind so that it fails if anybody has the port, and share it with workers only afterwards.

    Shared from the start, a second server of the same user would come in unseen and take half of the connections.
    SO_REUSEADDR is for a port on which connections of the server before this one are ending, and goes as it came.
    """
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        one.close()
        raise
    return one

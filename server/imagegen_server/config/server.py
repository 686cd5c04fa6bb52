"""[server]: where and how the server listens."""

import socket
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import ByteSize, Field

from .callers import TokensTable
from .storing import StoreTable
from .tls import TlsTable
from .values import ConfigError, Seconds, Table

_LARGEST_PORT = 65535
_MOST_WORKERS = 256
_LARGEST_MESSAGE = 2**31 - 1
"""In bytes; grpc counts in 32 bits."""
_LONGEST_AGE = 7 * 24 * 60 * 60.0
"""In seconds; grpc counts milliseconds in 32 bits."""
_USUAL_AGE = 5 * 60.0


class ServerTable(Table):
    """[server]."""

    listen: str = "127.0.0.1:50051"
    workers: Annotated[int, Field(gt=0)] = 1
    max_receive_bytes: Annotated[ByteSize, Field(gt=0, le=_LARGEST_MESSAGE)] = ByteSize(65 * 1024 * 1024)
    max_bytes_in_flight: Annotated[ByteSize, Field(gt=0)] = ByteSize(1024 * 1024 * 1024)
    max_inline_bytes: ByteSize = ByteSize(64 * 1024 * 1024)
    max_calls: Annotated[int, Field(gt=0)] = 1000
    max_connection_age: Annotated[Seconds, Field(le=_LONGEST_AGE)] | None = None
    drain: Seconds = 30.0
    allow_insecure: bool = False
    tls: TlsTable | None = None
    tokens: TokensTable | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def connection_age(self) -> float | None:
        """Seconds after which a client is asked to connect anew; None = never. Several workers need it for balance."""
        return self.max_connection_age or (_USUAL_AGE if self.workers > 1 else None)


def is_loopback(listen: str) -> bool:
    """Tell whether an address reaches this machine only. A name other than localhost may lead anywhere."""
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(listen: str) -> None:
    """See that this is an address.

    :raises ConfigError: it is none
    """
    if listen.startswith("unix:"):
        return
    host, colon, port = listen.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) <= _LARGEST_PORT):
        raise ConfigError(
            f'server.listen: {listen!r} is no address; write "127.0.0.1:50051", "[::1]:50051" (port 0 = any free one) '
            'or "unix:/path"'
        )


def require_safe_address(server: ServerTable, *, said_again: bool) -> None:
    """See that strangers are kept out, or that the operator has said twice that they need not be.

    :raises ConfigError: they are not
    """
    authenticates = server.tokens is not None or (server.tls is not None and server.tls.client_ca is not None)
    if is_loopback(server.listen) or (server.tls and authenticates) or (server.allow_insecure and said_again):
        return
    if server.tls:
        lack = "would serve anybody; set server.tls.client_ca, server.tokens or both"
    elif server.tokens:
        lack = "would take tokens in clear text; set server.tls"
    else:
        lack = "has neither TLS nor authentication; set server.tls, and server.tls.client_ca or server.tokens"
    raise ConfigError(
        f"server.listen: {server.listen} can be reached from other machines, and this server {lack}; or listen on "
        "127.0.0.1, or say it twice: server.allow_insecure = true and --allow-insecure"
    )


def check_workers(server: ServerTable, store: StoreTable) -> None:
    """See that so many workers can serve on one address, and what one of them made can be had from each.

    :raises ConfigError: they cannot
    """
    if server.workers == 1:
        return
    if server.workers > _MOST_WORKERS:
        raise ConfigError(f"server.workers: at most {_MOST_WORKERS}; one for each processor is plenty")
    if server.listen.startswith("unix:"):
        raise ConfigError(
            f"server.workers: {server.workers} workers cannot share the Unix socket of server.listen; listen on a "
            "port, or set server.workers = 1"
        )
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("server.workers: processes cannot share a port on this system; set server.workers = 1")
    if not store.shared:
        raise ConfigError(
            f"server.workers: {server.workers} workers need a store that they share, and store.url = "
            f'"{store.url}" is the memory of each process; set store.url to a shared store, or server.workers = 1'
        )

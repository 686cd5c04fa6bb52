"""The options by which every command finds its server, and the client made of them."""

from __future__ import annotations

import functools
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import grpc

from imagegen import Client, ImageGenError
from imagegen.cli._failure import describe, exit_code
from imagegen.cli._inputs import read_token
from imagegen.cli._report import json_error

_Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is and how to speak to it."""

    address: str | None
    tls: bool
    ca: Path | None
    token_env: str | None
    token_file: Path | None
    timeout: float | None

    @contextmanager
    def connected(self, *, as_json: bool = False) -> Iterator[Client]:
        """A client, in a block where a failed call ends the program with one line and its exit code."""
        with self._client() as client:
            try:
                yield client
            except ImageGenError as error:
                if as_json:
                    json_error(error)
                click.echo(
                    f"imagegen: {describe(error, client.address, tls=self.tls or self.ca is not None)}", err=True
                )
                sys.exit(exit_code(error))

    def _client(self) -> Client:
        token = read_token(self.token_env, self.token_file)
        tls = self.tls if self.ca is None else grpc.ssl_channel_credentials(_read_roots(self.ca))
        try:
            return Client(self.address, tls=tls, token=token, timeout=self.timeout)
        except ValueError as error:
            # The library names its own argument; here it is an option.
            raise click.UsageError(str(error).replace("tls=True", "--tls or --ca")) from error


def _read_roots(file: Path) -> bytes:
    try:
        roots = file.read_bytes()
        # gRPC would tell it at the first call, and as a trouble of the connection.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=roots.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise click.UsageError(f"--ca: {file} holds no certificates in PEM") from error
    except OSError as error:
        raise click.UsageError(f"--ca: {file} cannot be read: {error.strerror or error}") from error
    return roots


_OPTIONS: Final = (
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="The server. Default: the environment variable IMAGEGEN_ADDRESS, else 127.0.0.1:50051.",
    ),
    click.option("--tls", is_flag=True, help="Speak TLS, trusting gRPC's default roots."),
    click.option(
        "--ca", type=click.Path(path_type=Path), metavar="FILE", help="Speak TLS, trusting the roots in this PEM file."
    ),
    click.option("--token-env", metavar="NAME", help="The environment variable that holds your token."),
    click.option(
        "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="The file that holds your token."
    ),
    click.option("--timeout", type=float, metavar="SEC", help="Give up after this many seconds. Default: never."),
)


def connection_options(function: _Command) -> _Command:
    """Give a command these options; it receives them as `server`."""

    @functools.wraps(function)
    def command(
        *,
        address: str | None,
        tls: bool,
        ca: Path | None,
        token_env: str | None,
        token_file: Path | None,
        timeout: float | None,
        **rest: Any,
    ) -> None:
        function(server=Server(address, tls, ca, token_env, token_file, timeout), **rest)

    return functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)

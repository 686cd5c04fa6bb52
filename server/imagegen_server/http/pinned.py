"""One GET over a connection of its own, to addresses that were checked. Imported with the first fetch only."""

import errno
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from imagegen_server import __version__

from .addresses import Address
from .target import Target

_HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": f"imagegen/{__version__}"}
_RECEIVE_BUFFER = 1024 * 1024
_LONGEST_HEADER = 65_536

_FAULTS = (aiohttp.ClientError, OSError, RuntimeError)  # RuntimeError: aiohttp's word for a connection that is gone


class _Checked(AbstractResolver):
    """Answers with the addresses that were checked: nothing is looked up a second time."""

    def __init__(self, addresses: Collection[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the signature is aiohttp's
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except _FAULTS as error:
            raise httpx.ReadError("connection lost") from error


@asynccontextmanager
async def get(
    target: Target, addresses: Collection[Address], context: ssl.SSLContext
) -> AsyncGenerator[httpx.Response, None]:
    """Get what is at `target` from one of `addresses`. Leaving closes the connection at once.

    It sends no cookie and no credentials, knows no proxy and follows no redirect.

    :raises httpx.TransportError: ConnectError when there is no connection, else ReadError
    """
    async with _open_session(addresses, context) as session:
        try:
            # The path as it was given: some signatures are those of its characters.
            url = yarl.URL(target.url, encoded=True)
            response = await session.get(url, headers=_HEADERS, allow_redirects=False)
        except aiohttp.ClientConnectorError as error:
            raise httpx.ConnectError("no connection") from error
        except _FAULTS as error:
            raise httpx.ReadError("no answer") from error
        async with response:
            yield httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))


def _open_session(addresses: Collection[Address], context: ssl.SSLContext) -> aiohttp.ClientSession:
    def open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        # Every connection of the engine begins here, whatever it takes for the address.
        if ip_address(info[4][0]) not in addresses:
            raise PermissionError(errno.EPERM, "not the address that was checked")
        return socket.socket(*info[:3])

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Checked(addresses),
            ssl=context,
            socket_factory=open_socket,
            force_close=True,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        read_bufsize=_RECEIVE_BUFFER,
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
    )

"""Fetches from URLs that callers and providers give, and only from places that are public or allowed."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urljoin

import httpx

from imagegen_server.domain.errors import ImageError

from .addresses import Address, is_public, plain
from .allow_list import AllowList
from .answer import Answer
from .authorities import trust
from .failures import network_failure
from .target import Host, Target, read_target

MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110, 15.4
_MOST_ADDRESSES = 3
"""Of each kind, IPv4 and IPv6. More would let a name server make this machine knock at many doors."""
_LOOKUPS = 16
"""At a time: for callers, and as many for results."""

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""From a name to its addresses as text, in the order in which to try them. Raises OSError."""
_Origin = tuple[str, Host, int]


class NotFetched(Exception):
    """A URL was not fetched. The text is for people: it names the host and nothing else of the URL.

    `malformed` tells that the URL that was given is wrong in itself; where it redirects to does not count. `refused`
    tells that the way leads to where it is not allowed, so that nothing is won by another try.
    """

    def __init__(self, message: str, *, malformed: bool = False, refused: bool = False) -> None:
        """Say what happened."""
        super().__init__(message)
        self.message = message
        self.malformed = malformed
        self.refused = refused


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """What may be fetched beyond the public internet, and how long a fetch takes at most.

    `allow` as for AllowList. `max_seconds` counts all of it: names, connections, redirects and the whole body.

    :raises ValueError: when a value cannot be used
    """

    allow: tuple[str, ...] = ()
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Check what would otherwise fail with the first fetch."""
        AllowList(self.allow)
        if not self.max_seconds > 0:
            raise ValueError("max_seconds must be more than 0")


class GuardedFetcher:
    """Fetches by GET over http and https. It has no key, no cookie and no proxy to give away.

    A name is looked up once for each hop, every address that it leads to must be public or allowed, and only those are
    connected to: a name that also leads elsewhere is either a mistake or an attack, and using the rest would hide it.
    """

    def __init__(self, settings: FetchSettings, resolver: Resolver | None = None) -> None:
        """Open nothing. `resolver` stands in for that of the system."""
        self._allow = AllowList(settings.allow)
        self._max_seconds = settings.max_seconds
        # Names under a caller's control may take long. Those of results, which are paid for, must not wait for them.
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="imagegen-dns")
        self._own_lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="imagegen-dns-own")
        self._resolver = resolver
        self._closed = False

    async def fetch(
        self, url: str, *, max_bytes: int, allow_origin: str = "", on_bytes: Callable[[int], None] | None = None
    ) -> bytes:
        """Fetch what is at `url`. Cancelling closes the connection at once.

        `on_bytes` hears of every piece of the body, in bytes, before it is kept; it may raise NotFetched.

        `allow_origin` is a URL that the operator configured: the same scheme, host and port may then be fetched from
        although they are not public. The rest of it does not count.

        :raises NotFetched: when it is not allowed, not there, longer than `max_bytes`, or takes too long
        """
        try:
            target = read_target(url)
        except ValueError as wrong:
            raise NotFetched(str(wrong), malformed=True) from None
        try:
            async with asyncio.timeout(self._max_seconds):
                return await self._follow(target, _origin(allow_origin), max_bytes, on_bytes)
        except TimeoutError:
            raise NotFetched(f"{target.name} took longer than {self._max_seconds:g} s") from None

    async def close(self) -> None:
        """Fetch nothing more. What is being fetched goes on, but follows no more redirects."""
        self._closed = True
        for lookups in (self._lookups, self._own_lookups):
            lookups.shutdown(wait=False)

    async def _follow(
        self, first: Target, own: _Origin | None, max_bytes: int, on_bytes: Callable[[int], None] | None
    ) -> bytes:
        target = first
        for _ in range(MOST_REDIRECTS + 1):
            try:
                found = await self._get(target, await self._addresses(target, own), max_bytes, on_bytes)
                if isinstance(found, bytes):
                    return found
                target = _redirected(target, found)
            except NotFetched as fault:
                if target is first:
                    raise
                raise NotFetched(f"{fault}; {first.name} redirected there", refused=fault.refused) from None
        raise NotFetched(f"{first.name} redirects more than {MOST_REDIRECTS} times")

    async def _addresses(self, target: Target, own: _Origin | None) -> tuple[Address, ...]:
        if self._closed:
            raise NotFetched(f"{target.name} is not fetched: the server is stopping")
        if not isinstance(target.host, str):
            addresses: tuple[Address, ...] = (target.host,)
        else:
            try:
                found = await self._look_up(target.host, own)
            except OSError as error:
                raise NotFetched(network_failure(_no_connection(error), target.name).message) from None
            addresses = tuple(dict.fromkeys(plain(ip_address(text)) for text in found))
            if not addresses:
                raise NotFetched(f"cannot connect to {target.name}: the name leads to no address")
        if not all(self._allowed(target, own, address) for address in addresses):
            # The address of a name inside is nothing to tell a stranger.
            what = "leads to an address that is not public" if isinstance(target.host, str) else "is not public"
            raise NotFetched(f"{target.name} {what}, and the operator does not allow it (fetch.allow)", refused=True)
        return _first(addresses)

    def _allowed(self, target: Target, own: _Origin | None, address: Address) -> bool:
        return is_public(address) or target.origin == own or self._allow.allows(target.host, target.port, address)

    async def _get(
        self,
        target: Target,
        addresses: Sequence[Address],
        max_bytes: int,
        on_bytes: Callable[[int], None] | None,
    ) -> bytes | str:
        """Fetch the body, or where it has moved."""
        from .pinned import get  # noqa: PLC0415 - its import takes longer than the server's own

        try:
            context = trust()
        except OSError as error:
            raise NotFetched(network_failure(_no_connection(error), target.name).message) from None
        try:
            async with get(target, addresses, context) as response:
                if response.status_code in _REDIRECTS:
                    return str(response.headers.get("location", ""))
                answer = Answer(response, target.name)
                if not answer.ok:
                    raise NotFetched(f"{target.name} answered {answer.status}")
                return await answer.read(max_bytes, on_bytes)
        except (httpx.TransportError, OSError) as error:
            raise NotFetched(network_failure(error, target.name).message) from None
        except ImageError as error:
            raise NotFetched(error.message) from None

    async def _look_up(self, name: str, own: _Origin | None) -> Sequence[str]:
        if self._resolver is not None:
            return await self._resolver(name)
        found = await asyncio.get_running_loop().run_in_executor(
            self._lookups if own is None else self._own_lookups,
            lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM),
        )
        return [str(address[0]) for *_, address in found]


def _first(addresses: Sequence[Address]) -> tuple[Address, ...]:
    ipv4 = [address for address in addresses if isinstance(address, IPv4Address)][:_MOST_ADDRESSES]
    ipv6 = [address for address in addresses if isinstance(address, IPv6Address)][:_MOST_ADDRESSES]
    return tuple(address for address in addresses if address in ipv4 or address in ipv6)


def _no_connection(error: Exception) -> httpx.ConnectError:
    fault = httpx.ConnectError("no connection")
    fault.__cause__ = error
    return fault


def _origin(url: str) -> _Origin | None:
    try:
        return read_target(url).origin
    except ValueError:
        return None


def _redirected(source: Target, location: str) -> Target:
    """Read where a redirect leads.

    :raises NotFetched: nowhere, or from https to http
    """
    try:
        joined = urljoin(source.url, location)
    except ValueError:  # it repeats the URL
        raise NotFetched(f"{source.name} redirects to something that is no URL") from None
    try:
        target = read_target(joined if location else "")
    except ValueError as wrong:
        raise NotFetched(f"{source.name} redirects to a place that cannot be used: {wrong}") from None
    if source.scheme == "https" and target.scheme == "http":
        raise NotFetched(f"{source.name} redirects from https to http")
    return target

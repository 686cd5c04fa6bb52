"""What an operator lets be fetched beyond the public internet."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from .addresses import Address
from .target import LARGEST_PORT, Host, read_host

_ENTRY = re.compile(r"(?P<below>\*\.)?(?P<host>\[[^\[\]]*\]|[^\[\]:*]+)(?::(?P<port>[0-9]{1,5}))?")


class AllowList:
    """Hosts and networks that are allowed although they are not public.

    An entry is a name ("cdn.internal"), all names below one ("*.corp.example", which is not corp.example itself), an
    address, or a network ("10.1.0.0/16"). All but networks may have a port ("cdn.internal:8080", "[fd00::1]:8080") and
    are then allowed on that one alone. A name may lead to any address; an address is allowed under any name.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        """Read the entries.

        :raises ValueError: when one is none of these; it names the entry
        """
        self._names: set[tuple[str, int | None]] = set()
        self._parents: set[tuple[str, int | None]] = set()
        self._networks: list[tuple[IPv4Network | IPv6Network, int | None]] = []
        for entry in entries:
            try:
                self._add(entry)
            except ValueError as wrong:
                raise ValueError(f"{entry.rpartition('@')[2]!r}: {wrong}") from None  # a password may be before it

    def allows(self, host: Host, port: int, address: Address) -> bool:
        """Tell whether `address`, to which `host` leads, is allowed on this port."""
        ports = (port, None)
        name = host if isinstance(host, str) else ""
        parents = [name[dot + 1 :] for dot, character in enumerate(name) if character == "."]
        return (
            any((name, of) in self._names for of in ports)
            or any((parent, of) in self._parents for parent in parents for of in ports)
            or any(address in network and of in ports for network, of in self._networks)
        )

    def _add(self, entry: str) -> None:
        if "@" in entry:
            raise ValueError("has no user or password")
        if "/" in entry:
            self._networks.append((ip_network(entry), None))
            return
        match = _ENTRY.fullmatch(f"[{entry}]" if _is_ipv6(entry) else entry)
        if match is None:
            raise ValueError('is no host, host and port, or network; write "cdn.internal:8080" or "10.1.0.0/16"')
        port = int(match["port"]) if match["port"] else None
        if port is not None and not 1 <= port <= LARGEST_PORT:
            raise ValueError(f"a port is a number from 1 to {LARGEST_PORT}")
        host = read_host(match["host"])
        if isinstance(host, str):
            (self._parents if match["below"] else self._names).add((host, port))
        elif match["below"]:
            raise ValueError("an address has no names below it")
        else:
            self._networks.append((ip_network(host), port))


def _is_ipv6(entry: str) -> bool:
    try:
        IPv6Address(entry)
    except ValueError:
        return False
    return True

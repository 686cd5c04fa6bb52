"""Where a URL leads, read so that nobody after us can read it otherwise."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

import httpx

from .addresses import Address, plain

LONGEST_URL = 8192
"""In characters. Signed URLs, the longest that there are, take 2,000."""
LARGEST_PORT = 65_535

Host = str | Address
"""A name in lower case and ASCII, or an address."""

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^#]*)(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?::(?P<port>[0-9]{0,5}))?")
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_LONGEST_NAME = 253  # RFC 1035
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NO_URL = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_RESERVED = ":/?#[]@!$&'()*+,;=%"  # RFC 3986, and what is quoted already
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads. `path` with the query, as it is sent."""

    scheme: str
    host: Host
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, Host, int]:
        """What two URLs of one origin have in common (RFC 6454)."""
        return self.scheme, self.host, self.port

    @property
    def name(self) -> str:
        """The host, with its port unless it is the usual one: for the Host header, and for people."""
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL again, with its host as it was read."""
        return f"{self.scheme}://{self.name}{self.path}"


def read_target(url: str) -> Target:
    """Read a URL.

    :raises ValueError: when it is not http or https, names a user, or is written so that readers may differ; says why,
        and repeats nothing of the URL
    """
    if len(url) > LONGEST_URL:
        raise ValueError(f"the URL is longer than {LONGEST_URL} characters")
    if _NO_URL.search(url):
        raise ValueError("the URL holds a space, a backslash or a control character")
    parts = _URL.fullmatch(url)
    if parts is None or parts["scheme"].lower() not in _DEFAULT_PORTS:
        raise ValueError('the URL does not begin with "https://" or "http://"')
    scheme = parts["scheme"].lower()
    if "@" in parts["authority"]:
        raise ValueError("the URL names a user or a password")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    port = int(authority["port"] or _DEFAULT_PORTS[scheme]) if authority else 0
    if authority is None or not 1 <= port <= LARGEST_PORT:
        raise ValueError(f"the URL has no host, or no port from 1 to {LARGEST_PORT}")
    path = parts["path"] if parts["path"].startswith("/") else f"/{parts['path']}"
    try:
        return Target(scheme, read_host(authority["host"]), port, quote(path, safe=_RESERVED))
    except UnicodeEncodeError:
        raise ValueError("the URL is no text") from None


def read_host(text: str) -> Host:
    """Read the host of a URL: a name, an IPv4 address of four decimal numbers, or an IPv6 address in brackets.

    The other spellings of IPv4 addresses that inet_aton(3) takes, octal, hexadecimal or short, are refused: no two
    readers agree on them.

    :raises ValueError: when it is none of these
    """
    if text.startswith("["):
        return _read_ipv6(text)
    name = _ascii(text).removesuffix(".")
    try:
        return IPv4Address(name)
    except ValueError:
        pass
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise ValueError("an IPv4 address is written as four decimal numbers without leading zeros")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError("the host is neither a name nor an address")
    return name


def _read_ipv6(text: str) -> Address:
    if "%" in text:
        raise ValueError("an IPv6 address in a URL has no zone")
    try:
        return plain(IPv6Address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError("the host is no IPv6 address") from None


def _ascii(text: str) -> str:
    if text.isascii() or any(one.isascii() and not (one.isalnum() or one in "._-") for one in text):
        return text.lower()
    try:
        return httpx.URL(f"http://{text}/").raw_host.decode("ascii")  # IDNA 2008; RFC 5891
    except (httpx.InvalidURL, UnicodeError):
        raise ValueError("the host is no name that DNS knows") from None

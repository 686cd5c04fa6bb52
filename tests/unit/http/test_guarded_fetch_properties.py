"""Whatever is given as a URL, whatever names lead to: an answer of NotFetched, and no connection inside."""

# ruff: noqa: RUF001 - letters that look like others are the examples

import asyncio
import errno
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from imagegen_server.http.addresses import is_public
from imagegen_server.http.guarded_fetch import FetchSettings, GuardedFetcher, NotFetched

from tests.support.fetching import refused

_addresses = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.sampled_from(
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "8.8.8.8"]
    ),
).map(str)
_hosts = st.one_of(
    _addresses,
    _addresses.map(lambda text: f"[{text}]"),
    st.ip_addresses(v=4).map(lambda address: str(int(address))),
    st.ip_addresses(v=4).map(lambda address: hex(int(address))),
    st.sampled_from(["a.example", "localhost", "127.1", "0x7f.1", "0177.0.0.1", "１２７.0.0.1", "a.example."]),
    st.text(max_size=20),
)
_urls = st.one_of(
    st.text(),
    st.builds(
        "{}://{}{}{}{}".format,
        st.sampled_from(["http", "HTTP", "https", "ftp", ""]),
        st.sampled_from(["", "user@", "user:password@", "8.8.8.8\\@", "@"]),
        _hosts,
        st.sampled_from(["", ":", ":80", ":0", ":1", ":65536", ":x"]),
        st.one_of(st.sampled_from(["", "/", "?x", "#x", "/x?y=%zz"]), st.text()),
    ),
)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every address that is to be connected to, and let no connection come about."""
    noted: list[str] = []

    async def connect(_: object, __: socket.socket, address: tuple[Any, ...]) -> NoReturn:
        noted.append(address[0])
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    def look_up(*_: object, **__: object) -> NoReturn:
        raise AssertionError("looked up")

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return noted


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_urls, st.lists(_addresses, max_size=3))
@example("http://8.8.8.8/", [])
@example("http://a.example/", ["8.8.8.8", "2606:4700:4700::1111"])
@example("http://a.example/", ["8.8.8.8", "::ffff:127.0.0.1"])
@example("http://[::ffff:8.8.8.8]/", [])
def test_no_url_leads_inside(connected: list[str], url: str, answer: Sequence[str]) -> None:
    """It is refused as NotFetched and nothing else; what is connected to is public, all of the answer was."""

    async def resolve(_: str) -> Sequence[str]:
        return answer

    async def fetch() -> None:
        fetching = GuardedFetcher(FetchSettings(), resolve)
        with pytest.raises(NotFetched):
            await fetching.fetch(url, max_bytes=1000)
        await fetching.close()

    connected.clear()
    asyncio.run(fetch())

    assert all(is_public(ip_address(address)) for address in connected)


async def test_what_is_public_is_connected_to(connected: list[str]) -> None:
    """So the property above does not hold for want of connections: three addresses of each kind, in turn."""
    four, six = [f"8.8.8.{last}" for last in range(9)], [f"2606:4700::1{last}" for last in range(9)]

    async def resolve(_: str) -> Sequence[str]:
        return [*six, *four]

    fetching = GuardedFetcher(FetchSettings(), resolve)
    assert await refused(fetching, "http://a.example/") == "cannot connect to a.example: Connection refused"
    assert set(connected) == {*four[:3], *six[:3]}
    connected.clear()
    await refused(fetching, "http://[64:ff9b::8.8.8.8]/")
    await refused(fetching, "http://[::ffff:8.8.8.8]/")
    assert connected == ["64:ff9b::808:808", "8.8.8.8"]
    await fetching.close()

"""What the fetcher sends, and to whom."""

import asyncio
import socket
import ssl
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiohttp.abc import ResolveResult
from imagegen_server import __version__
from imagegen_server.http import pinned
from imagegen_server.http.guarded_fetch import FetchSettings, NotFetched

from tests.support.authority import Authority
from tests.support.fetching import PICTURE, Names, fetcher, refused, show
from tests.support.http_server import Exchange, HttpServer

HERE = "127.0.0.1"
NAMES = Names({"pictures.example": [["127.0.0.1"]]})


async def test_a_picture_is_fetched() -> None:
    """The bytes come as they are, and nothing is sent that would tell who asks."""
    async with HttpServer(show) as server, fetcher(HERE, resolver=NAMES) as fetching:
        url = f"http://pictures.example:{server.port}/a%2Fb/%7e/../+(1)/ü.png?s=a%2Bb%2f+c&t='x'&u=#part"
        assert await fetching.fetch(url, max_bytes=len(PICTURE)) == PICTURE

    (sent,) = server.requests
    assert sent.line == "GET /a%2Fb/%7e/../+(1)/%C3%BC.png?s=a%2Bb%2f+c&t='x'&u= HTTP/1.1"
    assert {name.lower(): value for name, value in sent.headers.items()} == {
        "host": f"pictures.example:{server.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "user-agent": f"imagegen/{__version__}",
    }


async def test_every_piece_is_told_before_it_is_kept() -> None:
    """Whoever counts the bytes may end it, and the connection is closed."""
    told: list[int] = []

    def count(size: int) -> None:
        told.append(size)
        if sum(told) > len(PICTURE):
            raise NotFetched("no room")

    async with HttpServer(show) as server, fetcher(HERE) as fetching:
        assert await fetching.fetch(server.url, max_bytes=10**6, on_bytes=count) == PICTURE
        assert sum(told) == len(PICTURE)
        with pytest.raises(NotFetched, match="no room"):
            await fetching.fetch(server.url, max_bytes=10**6, on_bytes=count)


async def test_the_address_connected_to_is_the_one_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once, by the guard; the engine cannot look up anything."""

    def look_up(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("looked up a second time")

    names = Names({"pictures.example": [["127.0.0.1"], ["127.0.0.2"]]})
    async with HttpServer(show) as server, fetcher(HERE, resolver=names) as fetching:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        assert await fetching.fetch(f"http://pictures.example:{server.port}/", max_bytes=len(PICTURE)) == PICTURE

    assert names.asked == ["pictures.example"]


async def test_no_socket_is_opened_to_an_address_that_was_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the engine were led to another one, by whatever fault."""

    async def mislead(_: object, host: str, port: int = 0, **__: Any) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    monkeypatch.setattr(pinned._Checked, "resolve", mislead)
    names = Names({"pictures.example": [["127.0.0.2"]]})
    async with HttpServer(show) as server, fetcher("127.0.0.2", resolver=names) as fetching:
        why = await refused(fetching, f"http://pictures.example:{server.port}/")

    assert server.connections == 0
    assert why == f"cannot connect to pictures.example:{server.port}: Operation not permitted"


async def test_the_resolver_of_the_system_is_asked() -> None:
    """Without another one. localhost needs no network."""
    async with HttpServer(show) as server, fetcher("127.0.0.1", "::1", resolver=None) as fetching:
        assert await fetching.fetch(f"http://localhost:{server.port}/", max_bytes=len(PICTURE)) == PICTURE


async def test_results_do_not_wait_for_the_names_of_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many look-ups a caller keeps busy, a result, which is paid for, is still fetched."""
    answered = threading.Event()

    def look_up(name: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        if name == "slow.example":
            answered.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with HttpServer(show) as server, fetcher(HERE, resolver=None) as fetching:
        base = f"http://vendor.example:{server.port}"
        waiting = [asyncio.create_task(fetching.fetch("http://slow.example/", max_bytes=1)) for _ in range(40)]
        await asyncio.sleep(0)  # now all have asked
        try:
            result = await fetching.fetch(f"{base}/result", max_bytes=len(PICTURE), allow_origin=f"{base}/v1")
        finally:
            answered.set()
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    assert result == PICTURE


async def test_another_address_of_a_name_is_tried() -> None:
    """When nobody listens at the first."""
    names = Names({"pictures.example": [["::1", "127.0.0.1"]]})
    async with HttpServer(show) as server, fetcher("127.0.0.1", "::1", resolver=names) as fetching:
        url = f"http://pictures.example:{server.port}/"
        assert await fetching.fetch(url, max_bytes=len(PICTURE)) == PICTURE


async def test_an_ipv4_address_in_the_dress_of_ipv6_is_what_it_is() -> None:
    """Allowed as the IPv4 address that it leads to, and connected to as such."""
    names = Names({"pictures.example": [["::ffff:127.0.0.1"]]})
    async with HttpServer(show) as server, fetcher(HERE, resolver=names) as fetching:
        for host in ("pictures.example", "[::ffff:7f00:1]"):
            assert await fetching.fetch(f"http://{host}:{server.port}/", max_bytes=len(PICTURE)) == PICTURE


async def test_the_certificate_is_that_of_the_name(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the checked address; the name is asked for and proven."""
    monkeypatch.setenv("SSL_CERT_FILE", authority.path)
    asked: list[str | None] = []

    def note(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        asked.append(name)

    context = authority.context("pictures.example")
    context.sni_callback = note
    async with HttpServer(show, context) as server, fetcher(HERE, resolver=NAMES) as fetching:
        url = f"https://pictures.example:{server.port}/"
        assert await fetching.fetch(url, max_bytes=len(PICTURE)) == PICTURE
    assert asked == ["pictures.example"]


@pytest.mark.parametrize(
    ("name", "known", "why"),
    [("other.example", True, "Hostname mismatch"), ("127.0.0.1", True, "Hostname mismatch"),
     ("pictures.example", False, "unable to get local issuer")],
)  # fmt: skip
async def test_a_wrong_certificate_is_refused(
    name: str, known: bool, why: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of another name, of the mere address, or of an unknown authority."""
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", authority.path)
    async with HttpServer(show, authority.context(name)) as server, fetcher(HERE, resolver=NAMES) as fetching:
        told = await refused(fetching, f"https://pictures.example:{server.port}/x?secret")

    assert told.startswith(f"cannot connect to pictures.example:{server.port}: certificate verify failed: {why}")
    assert server.requests == []


async def test_roots_that_cannot_be_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that says so, not a crash."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    async with fetcher(HERE) as fetching:
        assert await refused(fetching, "https://127.0.0.1:9/") == (
            "cannot connect to 127.0.0.1:9: No such file or directory"
        )


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "401 Unauthorized", "304 Not Modified", "300 Many"])
async def test_another_status_is_a_failure(status: str) -> None:
    """The message has the status and the host, and nothing of the body or the path."""

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(b"" if status.startswith("304") else b"secret", status, "Location: /secret")

    async with HttpServer(answer) as server, fetcher(HERE) as fetching:
        why = await refused(fetching, f"{server.url}/secret?secret")
    assert why == f"127.0.0.1:{server.port} answered {status[:3]}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 11\r\n\r\n123",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nX: %b" % (b"x" * 200_000),
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe://\xed\xa0\x80\r\n\r\n",
    ],
)
async def test_a_broken_answer_is_a_failure(answer: bytes) -> None:
    """None at all, no HTTP, cut short, lengths that contradict or are none, endless heads."""

    async def send(exchange: Exchange) -> None:
        await exchange.send(answer)
        exchange.hang_up()

    async with HttpServer(send) as server, fetcher(HERE) as fetching:
        why = await refused(fetching, f"{server.url}/secret?secret")
    assert f"127.0.0.1:{server.port}" in why
    assert "secret" not in why


async def test_no_connection_is_a_failure() -> None:
    """Nobody listens, or the name is unknown or leads nowhere."""
    async with HttpServer() as server:
        pass
    names = Names({"nowhere.example": [[]]})
    async with fetcher(HERE, resolver=names) as fetching:
        assert await refused(fetching, f"http://127.0.0.1:{server.port}/secret") == (
            f"cannot connect to 127.0.0.1:{server.port}: Connection refused"
        )
        assert await refused(fetching, "http://unknown.example/secret") == (
            "cannot connect to unknown.example: the name was not found (Name or service not known)"
        )
        assert await refused(fetching, "http://nowhere.example/secret") == (
            "cannot connect to nowhere.example: the name leads to no address"
        )


async def test_nothing_is_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, and no password of a .netrc."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with HttpServer() as proxy, HttpServer(show) as server, fetcher(HERE) as fetching:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert await fetching.fetch(server.url, max_bytes=len(PICTURE)) == PICTURE
    assert proxy.connections == 0
    assert "Authorization" not in server.requests[0].headers


async def test_a_closed_fetcher_fetches_nothing() -> None:
    """And says so, like every other failure."""
    async with HttpServer(show) as server, fetcher(HERE) as fetching:
        await fetching.close()
        assert "stopping" in await refused(fetching, server.url)
    assert server.connections == 0


@pytest.mark.parametrize("settings", [{"allow": ("10.0.0.0/99",)}, {"max_seconds": 0}, {"max_seconds": float("nan")}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """When they are made, not with the first fetch."""
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99|max_seconds"):
        FetchSettings(**settings)

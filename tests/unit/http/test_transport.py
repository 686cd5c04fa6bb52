"""TLS and sockets, the same with both engines; and what is refused when a transport is opened."""

# ruff: noqa: SIM117 - a server and its client, then the calls

import socket
import subprocess
import sys
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed
from imagegen_server.http.transport import HttpSettings, open_transport

from tests.support.authority import Authority
from tests.support.http_server import HttpServer, client_of, connection_failure, say_yes


async def test_an_authority_of_the_settings_is_trusted(engine: str, authority: Authority) -> None:
    """The connection is encrypted, and used again."""
    async with HttpServer(context=authority.context("127.0.0.1")) as server:
        async with client_of(server.url, engine=engine, ca=authority.path) as client:
            for _ in range(2):
                async with client.post_json("x", {}, {}) as got:
                    assert await got.read() == b'{"yes":true}'
    assert [request.connection for request in server.requests] == [1, 1]


async def test_an_authority_of_the_environment_is_trusted(
    engine: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE stands for the usual roots."""
    monkeypatch.setenv("SSL_CERT_FILE", authority.path)
    async with HttpServer(context=authority.context("127.0.0.1")) as server:
        async with client_of(server.url, engine=engine) as client, client.post_json("x", {}, {}) as got:
            assert got.status == 200


async def test_an_unknown_authority_is_refused(engine: str, authority: Authority) -> None:
    """Nothing was sent, and the message says why."""
    async with HttpServer(context=authority.context("127.0.0.1")) as server:
        async with client_of(server.url, engine=engine) as client:
            failure = await connection_failure(client)
    assert (failure.sent, failure.billed) == (False, Billed.NO)
    assert failure.message.startswith(f"cannot connect to 127.0.0.1:{server.port}: certificate verify failed: ")
    assert not server.requests


async def test_the_certificate_of_another_is_refused(engine: str, authority: Authority) -> None:
    """Also if the authority is trusted."""
    async with HttpServer(context=authority.context("other.example")) as server:
        async with client_of(server.url, engine=engine, ca=authority.path) as client:
            failure = await connection_failure(client)
    assert failure.sent is False
    assert "certificate verify failed: IP address mismatch" in failure.message
    assert not server.requests


async def test_a_server_without_tls(engine: str) -> None:
    """Https to a plain port: nothing was sent that anyone could read."""
    async with HttpServer() as server:
        server.script = say_yes
        async with client_of(f"https://127.0.0.1:{server.port}", engine=engine, connect_timeout=0.3) as client:
            failure = await connection_failure(client)
    assert failure.sent is False
    assert not server.requests


async def test_roots_that_cannot_be_read(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE leads nowhere: a failure before sending, not a crash."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    async with client_of("https://127.0.0.1:9", engine=engine) as client:
        failure = await connection_failure(client)
    assert failure.sent is False
    assert failure.message == "cannot connect to 127.0.0.1:9: No such file or directory"


async def test_sockets_ask_after_a_silent_peer(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP keepalive is on, soon enough to hear of a dead peer within minutes."""
    options: dict[tuple[int, int], object] = {}
    original = socket.socket.setsockopt

    def note(self: socket.socket, level: int, name: int, value: Any) -> None:
        options[level, name] = value
        original(self, level, name, value)

    monkeypatch.setattr(socket.socket, "setsockopt", note)
    async with HttpServer() as server, client_of(server.url, engine=engine) as client, client.get("x", {}) as got:
        await got.read()
    assert options[socket.SOL_SOCKET, socket.SO_KEEPALIVE] == 1
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert options[socket.IPPROTO_TCP, socket.TCP_KEEPIDLE] == 30


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"ca": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
        ({"ca": __file__}, "test_transport.py"),
        ({"ca": "/"}, "from /"),
        ({"ca": "a\0b"}, "ca: no certificates"),
        ({"proxy": "socks5://user:geheim@127.0.0.1:1"}, "socks5://127.0.0.1"),
        ({"proxy": "http://"}, "proxy"),
        ({"proxy": "http://user:geheim@host:port"}, "proxy"),
    ],
    ids=str,
)
def test_what_cannot_be_opened(settings: dict[str, str], named: str) -> None:
    """It is said when the transport is opened, and without a password."""
    with pytest.raises(ValueError, match=named) as caught:
        open_transport(HttpSettings("https://a.example", **settings))  # type: ignore[arg-type]
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": ""},
        {"base_url": "a.example/v1"},
        {"base_url": "ftp://a.example"},
        {"base_url": "https://user:geheim@a.example"},
        {"base_url": "https://a.example?x=geheim"},
        {"base_url": "https://a.example:port"},
        {"engine": "curl"},
        {"headers": {"": "x"}},
        {"headers": {"a b": "x"}},
        {"headers": {"a\r\nb": "x"}},
        {"headers": {"a": "geheim\r\nb: c"}},
        {"headers": {"a": "geheim\0"}},
        {"headers": {"a": "geheim\N{EURO SIGN}"}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"transfer-encoding": "chunked"}},
    ],
    ids=str,
)
def test_settings_that_cannot_be_used(settings: dict[str, Any]) -> None:
    """They are refused at once, without a value that may be a secret."""
    with pytest.raises(ValueError, match=next(iter(settings))) as caught:
        HttpSettings(**{"base_url": "https://a.example", **settings})
    assert "geheim" not in str(caught.value)


def test_settings_keep_their_secrets() -> None:
    """What a log line might show of them has no key and no password."""
    settings = HttpSettings("https://a.example", headers={"a": "geheim"}, proxy="http://user:geheim@127.0.0.1")
    assert "geheim" not in repr(settings)


def test_engines_are_loaded_by_the_first_request() -> None:
    """A server starts without them."""
    code = (
        "import sys; from imagegen_server.http.client import HttpClient, HttpSettings;"
        "HttpClient(HttpSettings('https://a.example')); print('aiohttp' in sys.modules, 'httpcore' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split()[0] == "False"

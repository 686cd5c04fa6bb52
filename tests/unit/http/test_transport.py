"""TLS, proxies and sockets, the same with both engines; and what is refused when a transport is opened."""

# ruff: noqa: SIM117 - a server and its client, then the calls

import base64
import socket
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.client import HttpClient
from imagegen_server.http.transport import HttpSettings, open_transport

from tests.support.http_server import ENGINES, Exchange, HttpServer, client_of, say_yes

_CREDENTIALS = "Basic " + base64.b64encode("me@here:pass:w/örd".encode()).decode("ascii")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Every test that takes it holds for both engines."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the proxies or certificates of whoever runs it."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test. `path` leads to its certificate."""

    issuer: trustme.CA
    path: str

    def context(self, name: str) -> ssl.SSLContext:
        """Make the context of a server that is called so."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issuer.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One that nobody trusts yet."""
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Authority(issuer, str(tmp_path / "ca.pem"))


async def _failure_of(client: HttpClient) -> ImageError:
    with pytest.raises(ImageError) as caught:
        async with client.post_json("x", {}, {}) as got:
            await got.read()
    assert caught.value.reason is Reason.NETWORK_ERROR
    return caught.value


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
            failure = await _failure_of(client)
    assert (failure.sent, failure.billed) == (False, Billed.NO)
    assert failure.message.startswith(f"cannot connect to 127.0.0.1:{server.port}: certificate verify failed: ")
    assert not server.requests


async def test_the_certificate_of_another_is_refused(engine: str, authority: Authority) -> None:
    """Also if the authority is trusted."""
    async with HttpServer(context=authority.context("other.example")) as server:
        async with client_of(server.url, engine=engine, ca=authority.path) as client:
            failure = await _failure_of(client)
    assert failure.sent is False
    assert "certificate verify failed: IP address mismatch" in failure.message
    assert not server.requests


async def test_a_server_without_tls(engine: str) -> None:
    """Https to a plain port: nothing was sent that anyone could read."""
    async with HttpServer() as server:
        server.script = say_yes
        async with client_of(f"https://127.0.0.1:{server.port}", engine=engine, connect_timeout=0.3) as client:
            failure = await _failure_of(client)
    assert failure.sent is False
    assert not server.requests


async def test_roots_that_cannot_be_read(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE leads nowhere: a failure before sending, not a crash."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    async with client_of("https://127.0.0.1:9", engine=engine) as client:
        failure = await _failure_of(client)
    assert failure.sent is False
    assert failure.message == "cannot connect to 127.0.0.1:9: No such file or directory"


async def test_plain_http_through_a_proxy(engine: str) -> None:
    """The proxy is told the whole URL and who is calling."""
    async with HttpServer() as proxy:
        url = f"http://me%40here:pass%3Aw%2F%C3%B6rd@127.0.0.1:{proxy.port}"
        async with client_of("http://images.example/v1", engine=engine, proxy=url) as client:
            for _ in range(2):
                async with client.post_json("x?y=1", {"n": 1}, {"Authorization": "Bearer key"}) as got:
                    assert await got.read() == b'{"yes":true}'

    for request in proxy.requests:
        assert request.line == "POST http://images.example/v1/x?y=1 HTTP/1.1"
        assert request.headers["Host"] == "images.example"
        assert request.headers.get_all("Proxy-Authorization") == [_CREDENTIALS]
        assert request.headers["Authorization"] == "Bearer key"
        assert request.body == b'{"n":1}'
    assert proxy.connections == 1


@pytest.mark.parametrize("encrypted", [False, True], ids=["http-proxy", "https-proxy"])
async def test_https_through_a_proxy(engine: str, encrypted: bool, authority: Authority) -> None:
    """The proxy hears a name and its own credentials, the provider all the rest; the tunnel is used again."""

    async def tunnel(exchange: Exchange) -> None:
        await exchange.tunnel(target.port)

    async with (
        HttpServer(context=authority.context("images.example")) as target,
        HttpServer(tunnel, authority.context("127.0.0.1") if encrypted else None) as proxy,
    ):
        url = proxy.url.replace("://", "://me%40here:pass%3Aw%2F%C3%B6rd@")
        async with client_of("https://images.example/v1", engine=engine, proxy=url, ca=authority.path) as client:
            for _ in range(2):
                async with client.post_json("x", {}, {"Authorization": "Bearer key"}) as got:
                    assert await got.read() == b'{"yes":true}'

    (connect,) = proxy.requests
    assert connect.line == "CONNECT images.example:443 HTTP/1.1"
    assert connect.headers.get_all("Proxy-Authorization") == [_CREDENTIALS]
    assert "Authorization" not in connect.headers
    assert [request.line for request in target.requests] == ["POST /v1/x HTTP/1.1"] * 2
    assert "Proxy-Authorization" not in target.requests[0].headers


async def test_trouble_behind_the_tunnel(engine: str, authority: Authority) -> None:
    """A provider whose certificate is wrong is named as such, and nothing was sent; one that hangs up heard us."""

    async def tunnel(exchange: Exchange) -> None:
        await exchange.tunnel(target.port)

    async def hang_up(exchange: Exchange) -> None:
        exchange.hang_up()

    async with HttpServer(hang_up, authority.context("images.example")) as target, HttpServer(tunnel) as proxy:
        async with client_of("https://images.example", engine=engine, proxy=proxy.url) as client:
            wrong = await _failure_of(client)
        async with client_of("https://images.example", engine=engine, proxy=proxy.url, ca=authority.path) as client:
            broken = await _failure_of(client)
    assert wrong.sent is False
    assert wrong.message.startswith("cannot connect to images.example: certificate verify failed")
    assert broken.sent is True


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_credentials(engine: str, scheme: str) -> None:
    """407 comes from the proxy, so the provider was not asked."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(b"", "407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="x"')

    async with HttpServer(refuse) as proxy:
        url = f"http://user:geheim@127.0.0.1:{proxy.port}"
        async with client_of(f"{scheme}://images.example", engine=engine, proxy=url) as client:
            failure = await _failure_of(client)
    assert (failure.sent, failure.billed) == (False, Billed.NO)
    assert failure.message == "cannot connect to images.example through the proxy: it answered 407"


async def test_a_proxy_that_refuses_or_hangs_up(engine: str) -> None:
    """Before the tunnel stands nothing is sent, however the proxy fails."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(b"", "403 Forbidden")

    async def hang_up(exchange: Exchange) -> None:
        exchange.hang_up()

    async def rubbish(exchange: Exchange) -> None:
        await exchange.send(b"no HTTP\r\n\r\n")

    async def silent(exchange: Exchange) -> None:
        await exchange.closed_by_peer()

    async with HttpServer() as proxy:
        for script, told in ((refuse, "it answered 403"), (hang_up, ""), (rubbish, ""), (silent, "in time")):
            proxy.script = script
            limit = 0.1 if script is silent else 10
            async with client_of(
                "https://images.example", engine=engine, proxy=proxy.url, connect_timeout=limit
            ) as client:
                failure = await _failure_of(client)
            assert failure.sent is False, script
            assert told in failure.message


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there(engine: str, scheme: str) -> None:
    """Nothing was sent, and the message names neither the user nor the password."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with client_of(
        f"{scheme}://127.0.0.1:1", engine=engine, proxy=f"http://user:geheim@127.0.0.1:{port}"
    ) as client:
        failure = await _failure_of(client)
    assert failure.sent is False
    assert failure.message == "cannot connect to 127.0.0.1:1 through the proxy: Connection refused"


@pytest.mark.parametrize(
    ("environment", "proxied"),
    [
        ({"HTTP_PROXY": "{}"}, True),
        ({"http_proxy": "{}"}, True),
        ({"ALL_PROXY": "{}"}, True),
        ({"HTTPS_PROXY": "{}"}, False),
        ({"HTTP_PROXY": "{}", "NO_PROXY": "elsewhere.example"}, True),
        ({"HTTP_PROXY": "{}", "NO_PROXY": "localhost,127.0.0.1"}, False),
        ({"HTTP_PROXY": "{}", "NO_PROXY": "127.0.0.1:{port}"}, False),
        ({"HTTP_PROXY": "{}", "NO_PROXY": "*"}, False),
    ],
    ids=str,
)
async def test_proxies_of_the_environment(
    engine: str, environment: dict[str, str], proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are taken when the transport is opened, and what changes later is not seen."""
    async with HttpServer() as proxy, HttpServer() as server:
        for name, value in environment.items():
            monkeypatch.setenv(name, value.format(f"127.0.0.1:{proxy.port}", port=server.port))
        async with client_of(server.url, engine=engine) as client:
            for name in environment:
                monkeypatch.delenv(name)
            async with client.get("x", {}) as got:
                await got.read()
    assert (len(proxy.requests), len(server.requests)) == ((1, 0) if proxied else (0, 1))


async def test_the_proxy_of_the_settings_comes_first(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    async with HttpServer() as proxy:
        async with client_of("http://images.example", engine=engine, proxy=proxy.url) as client:
            async with client.get("x", {}) as got:
                assert got.status == 200


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
        {"concurrency": 0},
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

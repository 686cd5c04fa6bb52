"""Proxies on the way to a provider, the same with both engines."""

# ruff: noqa: SIM117 - a server and its client, then the calls

import base64
import socket

import pytest
from imagegen_server.domain.errors import Billed

from tests.support.authority import Authority
from tests.support.http_server import Exchange, HttpServer, client_of, connection_failure

_CREDENTIALS = "Basic " + base64.b64encode("me@here:pass:w/örd".encode()).decode("ascii")


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
            wrong = await connection_failure(client)
        async with client_of("https://images.example", engine=engine, proxy=proxy.url, ca=authority.path) as client:
            broken = await connection_failure(client)
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
            failure = await connection_failure(client)
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
                failure = await connection_failure(client)
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
        failure = await connection_failure(client)
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

"""The client for threads: a provider's proxy and authorities, none of its headers, and limits."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import httpx
import pytest
from imagegen_server.http.blocking import DIRECT, open_blocking
from imagegen_server.http.client import HttpClient, HttpSettings

from tests.support.authority import Authority
from tests.support.http_server import PATIENCE, Exchange, HttpServer

BASE = "https://images.example/v1"
_Value = TypeVar("_Value")


async def in_thread(
    settings: HttpSettings, call: Callable[[httpx.Client], _Value], seconds: float = PATIENCE
) -> _Value:
    """Use a client as it is meant to be."""

    def use() -> _Value:
        with open_blocking(settings, seconds) as client:
            return call(client)

    return await asyncio.to_thread(use)


async def test_authorities_are_those_of_the_settings(authority: Authority) -> None:
    """A host is trusted with them only."""
    async with HttpServer(context=authority.context("127.0.0.1")) as server:
        trusting = HttpSettings(BASE, ca=authority.path)
        assert (await in_thread(trusting, lambda client: client.get(server.url))).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await in_thread(HttpSettings(BASE), lambda client: client.get(server.url))


async def test_headers_of_a_gateway_are_not_sent() -> None:
    """They are for the provider's own address."""
    async with HttpServer() as server:
        settings = HttpSettings(BASE, headers={"x-gateway": "secret"})
        await in_thread(settings, lambda client: client.get(server.url))

    assert "x-gateway" not in server.requests[0].headers


async def test_the_proxy_is_that_of_the_settings() -> None:
    """It is told who is calling."""
    async with HttpServer() as proxy:
        settings = HttpSettings(BASE, proxy=proxy.url.replace("://", "://me:word@"))
        await in_thread(settings, lambda client: client.get("http://tokens.example/t"))

    assert proxy.requests[0].line == "GET http://tokens.example/t HTTP/1.1"
    assert proxy.requests[0].headers["Proxy-Authorization"] == "Basic bWU6d29yZA=="


async def test_or_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it says for the host that is asked, not for the provider's."""
    monkeypatch.setenv("NO_PROXY", "near.example")
    async with HttpServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        await in_thread(HttpSettings("https://near.example"), lambda client: client.get("http://far.example/t"))

    assert proxy.requests[0].line == "GET http://far.example/t HTTP/1.1"


@pytest.mark.parametrize("host", DIRECT)
@pytest.mark.parametrize("where", ["settings", "environment"])
def test_what_a_machine_is_told_goes_through_no_proxy(host: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine would be told of itself."""
    proxy = "http://proxy.example"
    if where == "environment":
        monkeypatch.setenv("HTTP_PROXY", proxy)
    with open_blocking(HttpSettings(BASE, proxy=proxy if where == "settings" else ""), PATIENCE) as client:
        direct = client._transport_for_url(httpx.URL(f"http://{host}/x"))
        through = client._transport_for_url(httpx.URL("http://tokens.example/x"))

        assert direct is client._transport
        assert through is not client._transport


async def test_a_silent_host_is_left() -> None:
    """After the limit, as a timeout."""

    async def be_silent(exchange: Exchange) -> None:
        await exchange.closed_by_peer()

    async with HttpServer(be_silent) as server:
        with pytest.raises(httpx.ReadTimeout):
            await in_thread(HttpSettings(BASE), lambda client: client.get(server.url), seconds=0.05)


async def test_a_redirect_is_an_answer() -> None:
    """A token is not sent on to whoever is named."""

    async def elsewhere(exchange: Exchange) -> None:
        await exchange.answer(b"", "302 Found", "Location: http://127.0.0.1:9/")

    async with HttpServer(elsewhere) as server:
        got = await in_thread(HttpSettings(BASE), lambda client: client.get(server.url))

    assert got.status_code == 302


async def test_a_client_tells_its_settings() -> None:
    """Also one that follows an address of the vendor's."""
    settings = HttpSettings(BASE)
    client = HttpClient(settings)
    there, _ = client.at("https://images.example/x", ())

    assert there.settings is client.settings is settings
    await client.close()

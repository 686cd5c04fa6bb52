"""The client that sends nothing."""

import asyncio
import inspect
from typing import Any

import pytest
from imagegen_server.http.client import HttpClient, Unsigned
from imagegen_server.http.recording import NotSent, RecordingClient

from tests.support.http_server import HttpServer, client_of

HEADERS = {"Authorization": "Bearer ***"}


async def test_the_first_exchange_is_kept_and_none_is_sent() -> None:
    """A second one, of an adapter that goes on all the same, changes nothing; no connection is opened."""
    async with HttpServer() as server, client_of(server.url + "/v1/") as real:
        client = RecordingClient(real)
        with pytest.raises(NotSent):
            async with client.post_json("/a?b=c", {"x": 1}, HEADERS):
                pytest.fail("nothing can be answered")
        with pytest.raises(NotSent):
            await client.get("/later", HEADERS).__aenter__()

        assert server.connections == 0
        assert client.request is not None
        assert (client.request.method, client.request.url) == ("POST", f"{server.url}/v1/a?b=c")
        assert client.request.body() == '{"x":1}'


async def test_forms_and_gets_are_kept() -> None:
    """Each in its own way of writing a body."""
    async with client_of("http://127.0.0.1:9/v1") as real:
        posting, getting = RecordingClient(real), RecordingClient(real)
        for exchange in (posting.post_form("form", [("n", "1")], [], HEADERS), getting.get("job/7", HEADERS)):
            with pytest.raises(NotSent):
                await exchange.__aenter__()

    assert posting.request is not None
    assert (posting.request.method, posting.request.body()) == ("POST", "n=1")
    assert getting.request is not None
    assert (getting.request.method, getting.request.url, getting.request.body()) == (
        "GET",
        "http://127.0.0.1:9/v1/job/7",
        "",
    )


async def test_nothing_is_signed() -> None:
    """Keys are not fetched for what is not sent."""

    async def sign(unsigned: Unsigned) -> dict[str, str]:
        pytest.fail(f"asked to sign {unsigned.url}")

    async with client_of("http://127.0.0.1:9/v1") as real:
        client = RecordingClient(real)
        for exchange in (
            client.post_json("a", {}, HEADERS, sign),
            client.post_form("c", [], [], HEADERS, sign),
            client.get("b", HEADERS, sign),
        ):
            with pytest.raises(NotSent):
                await exchange.__aenter__()


async def test_what_is_sent_to_another_host_is_kept_too() -> None:
    """A client for another host of the vendor sends nothing either, and its request is the one that is shown."""
    async with client_of("http://127.0.0.1:9/v1") as real:
        client = RecordingClient(real)
        there, path = client.at("https://queue.vendor.example/job/7?x=1", ("vendor.example",))
        with pytest.raises(NotSent):
            async with there.send_empty("PUT", path, HEADERS):
                pytest.fail("nothing can be answered")

    assert client.request is not None
    assert (client.request.method, client.request.url) == ("PUT", "https://queue.vendor.example/job/7?x=1")


async def test_an_exchange_that_is_prepared_only_is_not_kept() -> None:
    """As with the real client, nothing is sent before the block is entered."""
    async with client_of("http://127.0.0.1:9") as real:
        client = RecordingClient(real)
        client.get("unused", HEADERS)

        assert client.request is None
        assert (client.base_url, client.host) == (real.base_url, real.host)
        await client.close()


def test_every_way_to_send_is_stood_in_for() -> None:
    """A method that the real client gains has to be recorded as well."""
    ways = {name for name, member in inspect.getmembers(HttpClient, inspect.isfunction) if not name.startswith("_")}

    assert ways == {"post_json", "post_form", "get", "send_empty", "websocket", "close", "at"}
    assert ways - {"at"} <= set(vars(RecordingClient))


async def test_an_adapter_that_takes_it_for_trouble_cannot() -> None:
    """It passes `except Exception`, and the group of a task that raised it still tells of it."""

    async def stubborn(client: Any) -> None:
        try:
            async with client.get("x", {}):
                pass
        except Exception:  # noqa: BLE001 - what is proven
            pytest.fail("was caught")

    async with client_of("http://127.0.0.1:9") as real:
        with pytest.raises(NotSent):
            await stubborn(RecordingClient(real))
        with pytest.raises(BaseExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(stubborn(RecordingClient(real)))

    assert caught.value.subgroup(NotSent) is not None

"""The example of a provider that is reached by HTTP: the made-up vendor, the server as a process, a client."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import imagegen
import pytest

from tests.support.http_server import Exchange, HttpServer, Script
from tests.support.pictures import png
from tests.support.process import server_process

KEY = "key-that-nobody-shall-see"
PICTURE = png(12, 8)


async def draw(exchange: Exchange) -> None:
    """Answer with a picture."""
    body = json.dumps({"picture": base64.b64encode(PICTURE).decode()}).encode()
    await exchange.answer(body, "200 OK", "Content-Type: application/json", "X-Request-Id: shot-7")


def saying(body: bytes, status: str, *headers: str) -> Script:
    """Make a script that always answers so."""
    return lambda exchange: exchange.answer(body, status, *headers)


@asynccontextmanager
async def darkroom(directory: Path) -> AsyncIterator[tuple[HttpServer, imagegen.AsyncClient]]:
    """Run a vendor and a server that has its key, and see at the end that the log does not show it."""
    async with HttpServer(draw) as vendor:
        config = directory / "imagegen.toml"
        config.write_text(
            f'[providers.darkroom]\nbase_url = "{vendor.url}/v1"\nstudio = "north"\nretry = {{strategy = "none"}}\n'
        )
        async with (
            server_process(directory, "--config", str(config), DARKROOM_API_KEY=KEY) as server,
            imagegen.AsyncClient(server.address) as client,
        ):
            yield vendor, client
        assert KEY not in server.log.read_text()


async def test_its_request_and_its_picture(tmp_path: Path) -> None:
    """Address and key come from the configuration, options and params from the caller; the bytes come back."""
    async with darkroom(tmp_path) as (vendor, client):
        result = await client.generate("darkroom/still", "a pier", size="640x480", params={"darkroom": {"grain": 3}})

    (request,) = vendor.requests
    assert request.line == "POST /v1/pictures HTTP/1.1"
    assert (request.headers["Authorization"], request.headers["X-Studio"]) == (f"Bearer {KEY}", "north")
    assert json.loads(request.body) == {"model": "still", "prompt": "a pier", "size": "640x480", "grain": 3}
    assert result.image.bytes == PICTURE
    assert [attempt.provider_request_id for attempt in result.attempts] == ["shot-7"]


async def test_its_errors(tmp_path: Path) -> None:
    """The vendor's code decides before its status, and neither the prompt nor the key is repeated."""
    cases = (
        ("401 Unauthorized", b"", "AUTHENTICATION_FAILED", "no"),
        ("429 Too Many Requests", b'{"code": "too_fast"}', "RATE_LIMITED", "no"),
        ("429 Too Many Requests", b'{"code": "no_credit"}', "QUOTA_EXCEEDED", "no"),
        ("400 Bad Request", b'{"code": "indecent", "message": "a pier"}', "CONTENT_FILTERED", "no"),
        ("500 Internal Server Error", b"<html>", "PROVIDER_ERROR", "unknown"),
        ("200 OK", b"{}", "INVALID_RESPONSE", "unknown"),
        ("200 OK", b'{"picture": "%%%"}', "INVALID_RESPONSE", "unknown"),
    )
    async with darkroom(tmp_path) as (vendor, client):
        for status, body, reason, billed in cases:
            headers = ["Retry-After: 7"] if reason == "RATE_LIMITED" else []
            vendor.script = saying(body, status, *headers)
            with pytest.raises(imagegen.ImageGenError) as raised:
                await client.generate("darkroom/still", "a pier")

            assert (raised.value.reason, raised.value.billed) == (reason, billed)
            assert raised.value.retry_delay == (7 if headers else None)
            assert "pier" not in str(raised.value)

    assert len(vendor.requests) == len(cases)

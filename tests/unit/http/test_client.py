"""What the HTTP client puts on the wire, and how it treats connections, the same with both engines."""

# ruff: noqa: SIM117 - a server and its client, then the calls

import asyncio
import json

import httpx
import pytest
from imagegen_server import __version__
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.client import FormFile, HttpClient, HttpSettings, Unsigned
from structlog.testing import capture_logs

from tests.support.http_server import Exchange, HttpServer, client_of


async def test_json_on_the_wire(engine: str) -> None:
    """One request with the body as compact JSON, its length, and the headers of the adapter."""
    async with HttpServer() as server, client_of(f"{server.url}/v1/", engine=engine) as client:
        async with client.post_json(
            "/images?x=1", {"prompt": "Zürich 🌇", "n": 2}, {"Authorization": "Bearer k"}
        ) as got:
            assert (got.status, got.media_type) == (200, "application/json")
            assert await got.read() == b'{"yes":true}'

    (request,) = server.requests
    assert request.line == "POST /v1/images?x=1 HTTP/1.1"
    assert request.body == '{"prompt":"Zürich 🌇","n":2}'.encode()
    assert sorted((name.lower(), value) for name, value in request.headers.items()) == [
        ("accept", "*/*"),
        ("accept-encoding", "identity"),
        ("authorization", "Bearer k"),
        ("content-length", str(len(request.body))),
        ("content-type", "application/json"),
        ("host", f"127.0.0.1:{server.port}"),
        ("user-agent", f"imagegen/{__version__}"),
    ]


async def test_half_a_surrogate_pair(engine: str) -> None:
    """A text that UTF-8 cannot hold is sent all the same, the rest of it whole."""
    async with HttpServer() as server, client_of(server.url, engine=engine) as client:
        async with client.post_json("x", {"prompt": "a\ud83dü"}, {}):
            pass
        async with client.post_form("x", [("prompt", "a\ud83dü")], [], {}):
            pass

    assert json.loads(server.requests[0].body) == {"prompt": "a?ü"}
    assert server.requests[1].parts == [("prompt", None, None, "a?ü".encode())]


async def test_a_form_on_the_wire(engine: str) -> None:
    """Fields and files in their order, repeated names where they stood, and a length instead of chunks."""
    fields = [("model", "m"), ("tag[]", "1"), ("prompt", "Zürich\r\n--x"), ("tag[]", "2")]
    files = [
        FormFile("image[]", 'a"b.png', "image/png", bytes(range(256)) * 3),
        FormFile("image[]", "b.webp", "image/webp", b""),
        FormFile("mask", "m.png", "image/png", b"\r\n--"),
    ]
    async with HttpServer() as server, client_of(server.url, engine=engine) as client:
        async with client.post_form("edits", fields, files, {}) as got:
            assert got.status == 200

    (request,) = server.requests
    assert request.parts == [
        *((name, None, None, value.encode()) for name, value in fields),
        ("image[]", "a%22b.png", "image/png", files[0].data),
        ("image[]", "b.webp", "image/webp", b""),
        ("mask", "m.png", "image/png", b"\r\n--"),
    ]


async def test_get_has_no_body(engine: str) -> None:
    """Nothing of a body is announced."""
    async with HttpServer() as server, client_of(server.url, engine=engine) as client, client.get("models", {}) as got:
        assert await got.read() == b'{"yes":true}'

    (request,) = server.requests
    assert request.line == "GET /models HTTP/1.1"
    assert {"content-length", "content-type", "transfer-encoding"}.isdisjoint(n.lower() for n in request.headers)


async def test_large_bodies_both_ways(engine: str) -> None:
    """Megabytes arrive unchanged, as JSON and as a form, and come back."""
    data = bytes(range(256)) * 40_000
    text = "x" * 3_000_001

    async def echo(exchange: Exchange) -> None:
        await exchange.answer(exchange.received.body)

    async with HttpServer(echo) as server, client_of(server.url, engine=engine) as client:
        async with client.post_form("x", [], [FormFile("image", "i.png", "image/png", data)], {}) as got:
            assert await got.read() == server.requests[0].body
        async with client.post_json("x", {"image": text}, {}) as got:
            assert json.loads(await got.read()) == {"image": text}

    assert server.requests[0].parts == [("image", "i.png", "image/png", data)]


async def test_settings_headers_win(engine: str) -> None:
    """The operator's headers replace the adapter's and ours, in whatever case they are written."""
    headers = {"AUTHORIZATION": "Bearer own", "user-Agent": "me", "X-Own": "1"}
    async with HttpServer() as server, client_of(server.url, engine=engine, headers=headers) as client:
        async with client.post_json("x", {}, {"authorization": "Bearer adapter", "X-Adapter": "2"}):
            pass

    sent = server.requests[0].headers
    assert sent.get_all("Authorization") == ["Bearer own"]
    assert sent.get_all("User-Agent") == ["me"]
    assert (sent["X-Own"], sent["X-Adapter"]) == ("1", "2")


async def test_a_request_is_signed_as_it_is_sent(engine: str) -> None:
    """Who signs it sees its method, address, headers and body; what it adds is sent, unless the operator says else."""
    seen: list[Unsigned] = []

    async def sign(unsigned: Unsigned) -> dict[str, str]:
        seen.append(unsigned)
        return {"x-proof": str(len(unsigned.body)), "x-own": "no", "x-adapter": "signed"}

    async with HttpServer() as server, client_of(f"{server.url}/v1", engine=engine, headers={"X-Own": "1"}) as client:
        async with client.post_json("/model/a%3A0/b c?x=%2F", {"n": "ü"}, {"X-Adapter": "2"}, sign):
            pass
        async with client.get("list?a=b", {}, sign):
            pass

    for request, unsigned in zip(server.requests, seen, strict=True):
        path = unsigned.url.removeprefix(server.url)
        assert request.line == f"{unsigned.method} {path} HTTP/1.1"
        assert request.body == unsigned.body
        sent = {name.lower(): value for name, value in request.headers.items()}
        assert sent == {**unsigned.headers, "x-proof": str(len(request.body)), "x-own": "1", "x-adapter": "signed"}
    assert seen[0].headers["host"] == f"127.0.0.1:{server.port}"
    assert seen[0].url.endswith("/v1/model/a%3A0/b%20c?x=%2F")
    assert (seen[0].body, seen[1].body) == ('{"n":"ü"}'.encode(), b"")


async def test_a_form_is_signed_without_its_body(engine: str) -> None:
    """A proof that needs no body, such as a token, is asked for when a form is sent, and sent with it."""
    seen: list[Unsigned] = []

    async def sign(unsigned: Unsigned) -> dict[str, str]:
        seen.append(unsigned)
        return {"authorization": "Bearer late"}

    async with HttpServer() as server, client_of(server.url, engine=engine) as client:
        exchange = client.post_form("form", [("n", "1")], [], {"Authorization": "early"}, sign)
        assert not seen
        async with exchange:
            pass

    (unsigned,) = seen
    assert (unsigned.method, unsigned.url, unsigned.body) == ("POST", f"{server.url}/form", b"")
    assert unsigned.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert server.requests[0].headers.get_all("Authorization") == ["Bearer late"]
    assert server.requests[0].body


async def test_what_cannot_be_signed_is_not_sent() -> None:
    """The reason comes out as it is."""

    async def sign(_unsigned: Unsigned) -> dict[str, str]:
        raise ImageError(Reason.AUTHENTICATION_FAILED, "no key")

    async with HttpServer() as server, client_of(server.url) as client:
        with pytest.raises(ImageError, match="no key"):
            async with client.post_json("x", {}, {}, sign):
                pytest.fail("was sent")

    assert server.connections == 0


async def test_a_redirect_is_an_answer(engine: str) -> None:
    """Nobody goes where it points: the key would go along."""

    async def redirect(exchange: Exchange) -> None:
        await exchange.answer(b"", "307 Temporary Redirect", f"Location: {server.url}/elsewhere")

    async with HttpServer(redirect) as server, client_of(server.url, engine=engine) as client:
        async with client.post_json("x", {}, {}) as got:
            assert (got.status, got.headers["location"]) == (307, f"{server.url}/elsewhere")

    assert len(server.requests) == 1


async def test_cookies_are_not_kept(engine: str) -> None:
    """What one call is given is not told by the next one, which may be another caller's."""

    async def give(exchange: Exchange) -> None:
        await exchange.answer(b"", "200 OK", "Set-Cookie: a=b")

    async with HttpServer(give) as server, client_of(f"http://localhost:{server.port}", engine=engine) as client:
        for _ in range(2):
            async with client.get("x", {}) as got:
                await got.read()

    assert "Cookie" not in server.requests[1].headers


async def test_a_connection_is_used_again(engine: str) -> None:
    """After an answer was read to its end."""
    async with HttpServer() as server, client_of(server.url, engine=engine) as client:
        for _ in range(3):
            async with client.post_json("x", {}, {}) as got:
                await got.read()

    assert [request.connection for request in server.requests] == [1, 1, 1]


async def test_there_is_no_limit_to_the_exchanges_at_a_time(engine: str) -> None:
    """Whoever makes requests has limits of its own; engines have others, unseen, unless they are told not to."""
    many = 120

    async def wait(exchange: Exchange) -> None:
        await exchange.closed_by_peer()

    async with HttpServer(wait) as server, client_of(server.url, engine=engine) as client:
        tasks = [asyncio.create_task(client.get("x", {}).__aenter__()) for _ in range(many)]
        await server.arrived(many)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    assert len({request.connection for request in server.requests}) == many


@pytest.mark.parametrize(
    ("base_url", "warns"),
    [
        ("http://images.example/v1", True),
        ("http://10.0.0.1", True),
        ("https://images.example/v1", False),
        ("http://127.0.0.9:1", False),
        ("http://[::1]:1", False),
        ("http://localhost", False),
    ],
)
async def test_plain_http_beyond_loopback_is_noted(base_url: str, warns: bool) -> None:
    """Once, when the client is made, with the host alone."""
    with capture_logs() as lines:
        HttpClient(HttpSettings(base_url, headers={"Authorization": "Bearer k"}))

    assert [line["log_level"] for line in lines] == (["warning"] if warns else [])
    assert "Bearer" not in str(lines)


async def test_a_mock_transport_plugs_in() -> None:
    """Adapters can be tested without a socket; a body shorter than announced is seen there too."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://a.example/v1/x"
        return httpx.Response(200, content=b"four", headers={"Content-Length": "5"})

    client = HttpClient(HttpSettings("https://a.example/v1"), httpx.MockTransport(handle))
    with pytest.raises(ImageError) as caught:
        async with client.get("x", {}) as got:
            await got.read()
    assert (caught.value.reason, caught.value.sent) == (Reason.NETWORK_ERROR, True)


async def test_closing_twice_or_unused(engine: str) -> None:
    """Neither does harm, and a closed client sends nothing."""
    async with client_of("http://127.0.0.1:9", engine=engine) as client:
        await client.close()
        with pytest.raises(RuntimeError):
            await client.get("x", {}).__aenter__()
    async with HttpServer() as server, client_of(server.url, engine=engine) as client:
        async with client.get("x", {}) as got:
            await got.read()
        await client.close()
        with pytest.raises(RuntimeError):
            await client.get("x", {}).__aenter__()
    assert len(server.requests) == 1


async def test_a_request_without_a_body(engine: str) -> None:
    """Its length is said to be nothing, which some servers insist on."""
    async with HttpServer() as server, client_of(server.url, engine=engine) as client:
        async with client.send_empty("PUT", "job/1/cancel", {"Authorization": "Key k"}) as got:
            assert got.ok

    (request,) = server.requests
    assert request.line == "PUT /job/1/cancel HTTP/1.1"
    assert request.headers.get_all("Content-Length") == ["0"]
    assert request.headers["Authorization"] == "Key k"


async def test_an_address_that_the_vendor_answered(engine: str) -> None:
    """On the base URL's own origin it is followed with its query, over the same connection, whatever the base path."""
    async with HttpServer() as server, client_of(f"{server.url}/gateway/v1", engine=engine) as client:
        async with client.post_json("jobs", {}, {}) as got:
            await got.read()
        there, path = client.at(f"{server.url}/v1/jobs/7?region=us", ())
        async with there.get(path, {"X-Key": "k"}) as got:
            await got.read()

    assert [request.line for request in server.requests] == [
        "POST /gateway/v1/jobs HTTP/1.1",
        "GET /v1/jobs/7?region=us HTTP/1.1",
    ]
    assert server.connections == 1


@pytest.mark.parametrize(
    "url", ["https://api.us1.bfl.ai/v1/x?id=1", "https://bfl.ai/v1/x?id=1", "https://BFL.AI./v1/x?id=1"]
)
async def test_an_address_on_a_host_of_the_vendor(url: str) -> None:
    """Hosts below the vendor's domains are trusted with a key, by https alone, and named as they are."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    settings = HttpSettings("https://api.bfl.ai", {"X-Tenant": "t"})
    client = HttpClient(settings, httpx.MockTransport(answer))
    there, path = client.at(url, ("bfl.ai",))
    async with there.get(path, {"x-key": "k"}):
        pass
    async with client.get("v1/models", {}):
        pass

    assert [str(request.url.copy_with(host="h")) for request in asked] == ["https://h/v1/x?id=1", "https://h/v1/models"]
    assert asked[0].headers["host"] == there.host == asked[0].url.host
    assert asked[0].headers["x-tenant"] == "t"
    assert asked[1].headers["host"] == client.host == "api.bfl.ai"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://api.bfl.ai/x",
        "https://notbfl.ai/x",
        "https://bfl.ai.evil.example/x",
        "https://user:pass@api.bfl.ai/x",
        "https://api.bfl.ai:evil/x",
        "ftp://api.bfl.ai/x",
        "/v1/x",
        "",
        "https://evil.example\\@bfl.ai/",
    ],
)
def test_an_address_elsewhere_gets_no_key(url: str) -> None:
    """Any other host, the vendor's host without TLS, and what readers may read differently are refused."""
    client = HttpClient(HttpSettings("https://api.bfl.ai"), httpx.MockTransport(lambda _request: httpx.Response(200)))
    with pytest.raises(ImageError) as raised:
        client.at(url, ("bfl.ai",))
    assert raised.value.reason is Reason.INVALID_RESPONSE

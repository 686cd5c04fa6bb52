"""What the HTTP client puts on the wire and takes from it, the same with both engines."""

# ruff: noqa: SIM117 - a server and its client, then the calls

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterable
from unittest.mock import patch

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server import __version__
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.body import form_body, json_body
from imagegen_server.http.client import Answer, FormFile, HttpClient, HttpSettings
from structlog.testing import capture_logs

from tests.support.http_server import ENGINES, PATIENCE, Exchange, HttpServer, client_of


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Every test that takes it holds for both engines."""
    return str(request.param)


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


async def test_chunks_are_large(engine: str) -> None:
    """An answer is handed on as it was received, not in small slices."""
    async with HttpServer(lambda exchange: exchange.answer(bytes(8_000_000))) as server:
        async with client_of(server.url, engine=engine) as client, client.get("x", {}) as got:
            sizes = [len(chunk) async for chunk in got.chunks()]
    assert sum(sizes) == 8_000_000
    assert max(sizes) > 16_384


async def test_a_connection_is_used_again(engine: str) -> None:
    """After an answer was read to its end."""
    async with HttpServer() as server, client_of(server.url, engine=engine) as client:
        for _ in range(3):
            async with client.post_json("x", {}, {}) as got:
                await got.read()

    assert [request.connection for request in server.requests] == [1, 1, 1]


async def test_concurrency_is_limited(engine: str) -> None:
    """The third exchange is sent when one of two is over, not when its answer has begun."""
    async with HttpServer() as server, client_of(server.url, engine=engine, concurrency=2) as client:
        first, second = client.post_json("1", {}, {}), client.post_json("2", {}, {})
        await first.__aenter__()
        await second.__aenter__()
        third = asyncio.create_task(client.post_json("3", {}, {}).__aenter__())
        async with client_of(server.url, engine=engine) as other, other.get("4", {}) as got:
            await got.read()  # a whole exchange went through meanwhile
        assert [request.line.split()[1] for request in server.requests] == ["/1", "/2", "/4"]
        await second.__aexit__(None, None, None)
        await server.arrived(4)
        await first.__aexit__(None, None, None)
        await third


async def _stream(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for word in (b"one", b"two", b"three"):
        await exchange.send(b"%x\r\n%s\r\n" % (len(word), word))
    await exchange.send(b"0\r\n\r\n")


async def test_chunked_answers(engine: str) -> None:
    """An answer without a length is read to its end, and the connection used again."""
    async with HttpServer(_stream) as server, client_of(server.url, engine=engine) as client:
        async with client.get("x", {}) as got:
            assert await got.read() == b"onetwothree"
        async with client.get("x", {}) as got:
            assert b"".join([chunk async for chunk in got.chunks()]) == b"onetwothree"

    assert server.connections == 1


async def test_chunks_come_as_they_are_sent(engine: str) -> None:
    """The first is there before the server goes on: it waits until that has been seen."""
    seen = asyncio.Event()

    async def pause(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none")
        await seen.wait()
        await exchange.send(b"two")

    async with HttpServer(pause) as server, client_of(server.url, engine=engine) as client:
        got = []
        async with asyncio.timeout(PATIENCE), client.get("x", {}) as answer:
            async for chunk in answer.chunks():
                got.append(chunk)
                seen.set()
    assert got == [b"one", b"two"]


async def test_an_answer_without_a_length_ends_with_the_connection(engine: str) -> None:
    """As HTTP/1.0 did."""

    async def old(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        exchange.hang_up()

    async with HttpServer(old) as server, client_of(server.url, engine=engine) as client, client.get("x", {}) as got:
        assert await got.read() == b"all of it"


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
async def test_compressed_answers(engine: str, encoding: str, compress: object) -> None:
    """What a proxy compressed is what the server meant."""
    assert callable(compress)
    body = bytes(range(256)) * 20_000

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(compress(body), "200 OK", f"Content-Encoding: {encoding}")

    async with HttpServer(answer) as server, client_of(server.url, engine=engine) as client:
        async with client.get("x", {}) as got:
            assert await got.read(len(body)) == body


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"no gzip"),
        ("gzip", gzip.compress(b"a" * 1000)[:-9]),
        ("br", b"whatever"),
        ("gzip", gzip.compress(bytes(5_000_000))),
    ],
    ids=["rubbish", "cut", "unknown", "bomb"],
)
async def test_badly_compressed_answers(engine: str, encoding: str, body: bytes) -> None:
    """They are invalid, and one that blows up is stopped at the limit."""

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(body, "200 OK", f"Content-Encoding: {encoding}")

    async with HttpServer(answer) as server, client_of(server.url, engine=engine) as client:
        with pytest.raises(ImageError) as caught:
            async with client.get("x", {}) as got:
                await got.read(1_500_000)
    assert caught.value.reason is Reason.INVALID_RESPONSE


@pytest.mark.parametrize("declared", [True, False])
async def test_a_long_answer_is_refused(engine: str, declared: bool) -> None:
    """One byte more than allowed, announced or not; as much as allowed is taken."""

    async def answer(exchange: Exchange) -> None:
        if declared:
            await exchange.answer(b"x" * 1001)
        else:
            await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            await exchange.send(b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")

    async with HttpServer(answer) as server, client_of(server.url, engine=engine) as client:
        with pytest.raises(ImageError) as caught:
            async with client.get("x", {}) as got:
                await got.read(1000)
        async with client.get("x", {}) as got:
            assert await got.read(1001) == b"x" * 1001
    assert (caught.value.reason, caught.value.billed) == (Reason.INVALID_RESPONSE, Billed.UNKNOWN)
    assert "1000 bytes" in caught.value.message


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


async def test_the_media_type_is_bare() -> None:
    """In lower case, without parameters, empty if there is none."""
    for sent, media_type in {"Text/Event-Stream; charset=UTF-8": "text/event-stream", "": ""}.items():
        response = httpx.Response(200, headers={"Content-Type": sent} if sent else {})
        assert Answer(response, "h").media_type == media_type


async def test_numbers_that_json_lacks_are_refused() -> None:
    """Nothing that is no JSON is ever sent."""
    with pytest.raises(ValueError, match="JSON"):
        json_body({"x": float("nan")})


def _collect(chunks: AsyncIterable[bytes]) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [chunk async for chunk in chunks]

    return asyncio.run(collect())


@given(st.lists(st.integers(0, 700_000), min_size=1, max_size=5))
def test_bodies_are_cut_without_loss(sizes: list[int]) -> None:
    """The pieces together are as long as announced, hold every file in its order, and none exceeds a buffer."""
    datas = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    body = form_body([], [FormFile("f", "f", "image/png", data) for data in datas])

    pieces = _collect(body.stream)

    whole = b"".join(pieces)
    assert len(whole) == body.length
    assert [part.partition(b"\r\n\r\n")[2] for part in whole.split(b"\r\n--")[:-1]] == datas
    assert max(map(len, pieces)) <= 262_144


class _Cut(httpx.AsyncByteStream):
    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._data), self._size):
            yield self._data[start : start + self._size]


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.integers(0, 1))
def test_inflating_in_any_steps(data: bytes, repeated: int, step: int, cut: int, missing: int) -> None:
    """However it arrives and however little is inflated at a time, it is whole, or seen to be cut."""
    body = data * repeated
    sent = gzip.compress(body)
    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=_Cut(sent[: len(sent) - missing], cut))
    with patch("imagegen_server.http.answer._INFLATED", step):
        if missing:
            with pytest.raises(ImageError):
                _collect(Answer(response, "h").chunks())
        else:
            assert b"".join(_collect(Answer(response, "h").chunks())) == body


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

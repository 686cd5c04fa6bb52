"""Pictures to change that the caller names instead of sending."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from imagegen import AsyncClient, Image, ImageGenError, Reason
from imagegen.v1 import image_service_pb2
from imagegen_server.generation.middleware import Context, Middleware

from tests.parity.configured import KEY, configured_service
from tests.parity.forms import failure_of
from tests.parity.service import MODEL, Service, change
from tests.support.calls import Refusal, refusal
from tests.support.http_server import Exchange, HttpServer
from tests.support.pictures import png
from tests.support.server import open_unary

PICTURE, MASK = png(16, 16, shade=9), png(16, 16, shade=255)


async def show(exchange: Exchange) -> None:
    """Answer with a picture or a mask, or send elsewhere, or say that there is nothing."""
    path = exchange.received.line.split()[1]
    if path == "/moved":
        await exchange.answer(b"", "302 Found", "Location: /picture.png")
    elif path == "/page":
        await exchange.answer(b"<html></html>", "200 OK", "Content-Type: image/png")
    elif path in {"/picture.png", "/mask.png"}:
        await exchange.answer(PICTURE if path == "/picture.png" else MASK, "200 OK", "Content-Type: text/plain")
    else:
        await exchange.answer(b"", "404 Not Found")


@pytest.fixture
async def host() -> AsyncIterator[HttpServer]:
    """Serve pictures on this machine."""
    async with HttpServer(show) as server:
        yield server


def allowing(host: HttpServer) -> str:
    """Write the table that lets the server fetch from there."""
    return f'[fetch]\nallow = ["127.0.0.1:{host.port}"]\ntimeout = "10s"'


def of_url(url: str) -> image_service_pb2.EditRequest:
    """Ask for a change of what is at a URL."""
    request = change()
    request.input.images[0].url = url
    return request


async def refused(service: Service, url: str, form: str) -> Refusal:
    """Ask for a change of what is at a URL, in vain."""
    request = of_url(url)
    streams = form == "StreamEdit"
    return await failure_of(
        service.server.images.StreamEdit(request) if streams else open_unary(service.server, request)
    )


@pytest.mark.parametrize("path", ["picture.png", "moved"])
async def test_an_input_by_url_is_fetched_by_the_server(path: str, host: HttpServer, tmp_path: Path) -> None:
    """The picture goes to the vendor byte for byte, as what its bytes say, and whoever has it hears of no key."""
    async with (
        configured_service(tmp_path, tables=allowing(host)) as service,
        AsyncClient(service.server.address) as client,
    ):
        url = f"{host.url}/{path}"
        result = await client.edit(
            MODEL, "a boat", image=Image.from_url(url), mask=Image.from_url(f"{host.url}/mask.png")
        )
        (sent,) = service.fake.requests

    assert result.image.bytes
    assert [part.name for part in sent.files] == ["image", "mask"]
    assert (sent.files[0].data, sent.files[0].content_type) == (PICTURE, "image/png")
    for received in host.requests:
        assert "authorization" not in received.headers
        assert KEY.encode() not in received.head


class Looking(Middleware):
    """Looks at the pictures of a request."""

    def __init__(self) -> None:
        """Have seen none."""
        super().__init__("looking")
        self.seen: list[bytes] = []

    async def on_request(self, context: Context) -> None:
        """Take a look."""
        self.seen += [image.data for image in context.request.images]


async def test_on_request_sees_what_was_fetched(host: HttpServer, tmp_path: Path) -> None:
    """A hook has the picture behind the URL before it, as the vendor will."""
    looking = Looking()
    async with configured_service(tmp_path, tables=allowing(host), middleware=[looking]) as service:
        await service.server.images.Edit(of_url(f"{host.url}/picture.png"))

    assert looking.seen == [PICTURE]


@pytest.mark.parametrize("form", ["Edit", "StreamEdit"])
@pytest.mark.parametrize("path", ["gone.png", "picture.png"], ids=["not there", "not allowed"])
async def test_an_input_that_cannot_be_fetched_is_told_by_its_field(
    path: str, form: str, host: HttpServer, tmp_path: Path
) -> None:
    """INPUT_NOT_FETCHED names the field, before the vendor was asked; it is no failure of the vendor's, and free."""
    tables = allowing(host) if path == "gone.png" else ""
    async with configured_service(tmp_path, tables=tables) as service:
        told = await refused(service, f"{host.url}/{path}", form)

        assert service.fake.requests == []
    assert (told.reason, told.billed) == ("INPUT_NOT_FETCHED", "no")
    assert list(told.violations) == ["input.images[0].url"]
    assert "provider" not in told.metadata
    assert told.failure is None
    assert len(host.requests) == (1 if path == "gone.png" else 0)


@pytest.mark.parametrize("form", ["Edit", "StreamEdit"])
@pytest.mark.parametrize(
    "url", ["ftp://example.org/a.png", "http://", "a.png", "http://[::1/a.png", "file:///etc/passwd"]
)
async def test_a_malformed_url_is_the_requests_fault(url: str, form: str, tmp_path: Path) -> None:
    """What is no address of a picture is INVALID_REQUEST with the field, and nothing is fetched or asked."""
    async with configured_service(tmp_path) as service:
        told = await refused(service, url, form)

        assert service.fake.requests == []
    assert (told.reason, told.billed) == ("INVALID_REQUEST", "no")
    assert list(told.violations) == ["input.images[0].url"]


async def test_what_is_fetched_and_no_picture_is_told_by_its_field(host: HttpServer, tmp_path: Path) -> None:
    """A page that calls itself a picture is not sent on."""
    async with configured_service(tmp_path, tables=allowing(host)) as service:
        told = await refused(service, f"{host.url}/page", "Edit")

        assert service.fake.requests == []
    assert told.reason == "INVALID_REQUEST"
    assert list(told.violations) == ["input.images[0].url"]


async def test_one_failing_input_of_several_is_the_one_that_is_named(host: HttpServer, tmp_path: Path) -> None:
    """Which of the pictures it was is said, and the others are not to blame."""
    request = change(PICTURE, PICTURE)
    request.input.images[1].url = f"{host.url}/gone.png"
    async with configured_service(tmp_path, tables=allowing(host)) as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.server.images.Edit(request)

    assert list(refusal(caught.value).violations) == ["input.images[1].url"]


@pytest.mark.parametrize("given", ["result", "upload"])
async def test_an_earlier_picture_is_an_input(given: str, tmp_path: Path) -> None:
    """A result, or an upload, is changed by its id: the vendor gets its bytes."""
    async with configured_service(tmp_path) as service, AsyncClient(service.server.address) as client:
        if given == "result":
            image: Image = (await client.generate(MODEL, "a boat")).image
        else:
            image = await client.upload(Image.from_bytes(PICTURE))
        expected = image.sha256
        await client.edit(MODEL, "a boat", image=Image.from_id(image.image_id or ""))
        sent = service.fake.requests[-1]

    assert Image.from_bytes(sent.files[0].data).sha256 == expected


async def test_a_picture_that_is_not_there_any_more_is_told_by_its_field(tmp_path: Path) -> None:
    """An id that nobody has is no failure of the vendor's either."""
    async with configured_service(tmp_path) as service, AsyncClient(service.server.address) as client:
        kept = (await client.generate(MODEL, "a boat")).image.image_id or ""
        with pytest.raises(ImageGenError) as caught:
            await client.edit(MODEL, "a boat", image=Image.from_id(kept[:-4] + "aaaa"))

        assert len(service.fake.requests) == 1
    assert caught.value.reason == Reason.IMAGE_NOT_FOUND
    assert [violation.field for violation in caught.value.violations] == ["input.images[0].image_id"]

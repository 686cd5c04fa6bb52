"""Fetching bytes that the server keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import grpc
import pytest
from imagegen import AsyncClient, GeneratedImage, Image, ImageGenError, Reason
from imagegen._image import generated_image_from_proto
from imagegen.v1 import image_service_pb2

from tests.unit.client.fake_server import (
    Context,
    FakeServer,
    ReadScript,
    error_info,
    facts,
    made,
    picture,
    status_trailer,
)

Piece = image_service_pb2.ReadImageResponse
PIECE = 100


def pieces(data: bytes, offset: int = 0) -> list[Piece]:
    """What a read from `offset` on answers."""
    parts = [Piece(offset=at, data=data[at : at + PIECE]) for at in range(offset, len(data), PIECE)] or [
        Piece(offset=offset)
    ]
    parts[0].image.CopyFrom(facts(data, image_id="img_1"))
    return parts


def serve(data: bytes) -> ReadScript:
    """A script that hands out an image."""

    async def script(request: image_service_pb2.ReadImageRequest, _context: Context) -> AsyncIterator[Piece]:
        for piece in pieces(data, request.offset):
            yield piece

    return script


def breaking(
    server: FakeServer, data: bytes, *, times: int, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
) -> ReadScript:
    """A script that breaks off after three pieces, so many times."""

    async def script(request: image_service_pb2.ReadImageRequest, context: Context) -> AsyncIterator[Piece]:
        await context.send_initial_metadata(())
        parts = pieces(data, request.offset)
        for piece in parts[:3] if len(server.calls) <= times else parts:
            yield piece
        if len(server.calls) <= times:
            await context.abort(code, "broke")

    return script


def offsets(server: FakeServer) -> list[int]:
    """Where each read began."""
    return [cast("image_service_pb2.ReadImageRequest", call.request).offset for call in server.calls]


async def test_read_image_by_id(server: FakeServer, client: AsyncClient) -> None:
    """An id becomes an image with bytes and facts."""
    data = picture(950)
    server.read = serve(data)

    image = await client.read_image("img_1")

    assert (image.bytes, image.image_id, image.width, image.media_type) == (data, "img_1", 640, "image/png")
    assert cast("image_service_pb2.ReadImageRequest", server.last.request).image_id == "img_1"


async def test_read_keeps_what_is_known_of_the_image(server: FakeServer, client: AsyncClient) -> None:
    """A result that was delivered by reference keeps its index, seed and prompt when its bytes are fetched."""
    data = picture(950)
    server.read = serve(data)
    reference = generated_image_from_proto(made(data, index=2))

    image = await client.read(reference)

    assert isinstance(image, GeneratedImage)
    assert (image.bytes, image.index, image.seed, image.revised_prompt) == (data, 2, 7, "a harbour")


async def test_bytes_that_are_here_are_not_fetched(server: FakeServer, client: AsyncClient) -> None:
    """An image with its bytes is returned as it is."""
    image = Image.from_bytes(b"abc")

    assert await client.read(image) is image
    assert server.calls == []


async def test_image_without_id_cannot_be_read(client: AsyncClient) -> None:
    """A URL is for the server to fetch."""
    with pytest.raises(ValueError, match="no id"):
        await client.read(Image.from_url("https://example.com/a.png"))


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
async def test_broken_read_is_resumed_where_it_broke(
    server: FakeServer, client: AsyncClient, code: grpc.StatusCode
) -> None:
    """A stream that breaks is read on from the next byte, and the whole is checked."""
    data = picture(950)
    server.read = breaking(server, data, times=1, code=code)

    assert (await client.read_image("img_1")).bytes == data
    assert offsets(server) == [0, 300]


async def test_read_that_breaks_at_the_last_byte(server: FakeServer, client: AsyncClient) -> None:
    """All bytes were there when the stream broke: the answer to the read at the end completes it."""
    data = picture(300)
    server.read = breaking(server, data, times=1)

    assert (await client.read_image("img_1")).bytes == data
    assert offsets(server) == [0, 300]


async def test_read_is_resumed_once(server: FakeServer, client: AsyncClient) -> None:
    """A way that keeps breaking is an error; reading costs nothing, so nothing was billed."""
    server.read = breaking(server, picture(950), times=9)

    with pytest.raises(ImageGenError, match="broke") as caught:
        await client.read_image("img_1")

    assert offsets(server) == [0, 300]
    assert (caught.value.reason, caught.value.billed) == (Reason.NETWORK_ERROR, "no")


async def test_refused_read_is_not_repeated(server: FakeServer, client: AsyncClient) -> None:
    """What the server itself says is final."""

    async def script(_request: image_service_pb2.ReadImageRequest, context: Context) -> AsyncIterator[Piece]:
        trailer = status_trailer(grpc.StatusCode.NOT_FOUND, "gone", error_info("IMAGE_NOT_FOUND", billed="no"))
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone", (trailer,))
        yield Piece()

    server.read = script
    with pytest.raises(ImageGenError) as caught:
        await client.read_image("img_1")

    assert caught.value.reason == Reason.IMAGE_NOT_FOUND
    assert len(server.calls) == 1


async def test_fault_of_the_server_is_not_repeated(server: FakeServer, client: AsyncClient) -> None:
    """INTERNAL from the server itself is no broken stream."""

    async def script(_request: image_service_pb2.ReadImageRequest, context: Context) -> AsyncIterator[Piece]:
        await context.abort(grpc.StatusCode.INTERNAL, "fault", (("imagegen-reason", "ERROR_REASON_INTERNAL_ERROR"),))
        yield Piece()

    server.read = script
    with pytest.raises(ImageGenError) as caught:
        await client.read_image("img_1")

    assert caught.value.reason == Reason.INTERNAL_ERROR
    assert len(server.calls) == 1


async def test_connection_refused_before_the_first_byte_is_retried(server: FakeServer, client: AsyncClient) -> None:
    """UNAVAILABLE before anything came is retried by the channel, as reading is free."""

    async def script(request: image_service_pb2.ReadImageRequest, context: Context) -> AsyncIterator[Piece]:
        if len(server.calls) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        for piece in pieces(b"abc", request.offset):
            yield piece

    server.read = script

    assert (await client.read_image("img_1")).bytes == b"abc"


async def test_short_read_is_an_error(server: FakeServer, client: AsyncClient) -> None:
    """A stream that ends well before the image does is not taken for the image."""

    async def script(_request: image_service_pb2.ReadImageRequest, _context: Context) -> AsyncIterator[Piece]:
        for piece in pieces(picture(950))[:-1]:
            yield piece

    server.read = script
    with pytest.raises(ImageGenError, match="ended after 900 of 950") as caught:
        await client.read_image("img_1")

    assert caught.value.reason == Reason.INVALID_RESPONSE


async def test_empty_read_is_an_error(server: FakeServer, client: AsyncClient) -> None:
    """A stream that says nothing gives no image."""

    async def script(_request: image_service_pb2.ReadImageRequest, _context: Context) -> AsyncIterator[Piece]:
        for piece in list[Piece]():
            yield piece

    server.read = script
    with pytest.raises(ImageGenError, match="nothing"):
        await client.read_image("img_1")


async def test_other_bytes_than_told_are_an_error(server: FakeServer, client: AsyncClient) -> None:
    """Bytes must be those of the read's own facts, and of the result that named the image."""

    async def lying(_request: image_service_pb2.ReadImageRequest, _context: Context) -> AsyncIterator[Piece]:
        first, *rest = pieces(picture(950, salt=1))
        first.image.CopyFrom(facts(picture(950)))
        for piece in [first, *rest]:
            yield piece

    server.read = lying
    with pytest.raises(ImageGenError, match="SHA-256"):
        await client.read_image("img_1")

    server.read = serve(picture(950, salt=1))
    with pytest.raises(ImageGenError, match="other bytes"):
        await client.read(generated_image_from_proto(made(picture(950))))


async def test_image_that_changes_between_reads_is_an_error(server: FakeServer, client: AsyncClient) -> None:
    """What is read on must be the image that was begun."""

    async def script(request: image_service_pb2.ReadImageRequest, context: Context) -> AsyncIterator[Piece]:
        await context.send_initial_metadata(())
        for piece in pieces(picture(950, salt=len(server.calls)), request.offset)[:3]:
            yield piece
        await context.abort(grpc.StatusCode.UNAVAILABLE, "broke")

    server.read = script
    with pytest.raises(ImageGenError, match="changed"):
        await client.read_image("img_1")


async def test_cancelled_read_reaches_the_server(server: FakeServer, client: AsyncClient) -> None:
    """A read that is cancelled ends on the server too."""
    begun = asyncio.Event()

    async def script(_request: image_service_pb2.ReadImageRequest, _context: Context) -> AsyncIterator[Piece]:
        yield pieces(picture(950))[0]
        begun.set()
        await server.hang()

    server.read = script
    task = asyncio.create_task(client.read_image("img_1"))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await server.saw_cancel()


async def test_timeout_covers_both_reads(server: FakeServer, client: AsyncClient) -> None:
    """The second read gets what the first left of the time."""

    async def script(request: image_service_pb2.ReadImageRequest, context: Context) -> AsyncIterator[Piece]:
        await context.send_initial_metadata(())
        yield pieces(picture(950), request.offset)[0]
        if len(server.calls) == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "broke")
        await server.hang()

    server.read = script
    with pytest.raises(ImageGenError) as caught:
        await client.read_image("img_1", timeout=0.5)

    assert caught.value.reason == Reason.TIMEOUT
    assert len(server.calls) == 2

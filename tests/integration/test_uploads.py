"""Uploads over the wire, and edits of what was uploaded."""

import hashlib

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2

from tests.support.calls import refusal
from tests.support.pictures import noisy_png, png
from tests.support.server import Running, nothing_left, running_server

MODEL = "sandbox/scene"


async def upload(server: Running, data: bytes, piece: int) -> image_pb2.Image:
    """Upload an image in pieces."""
    request = image_service_pb2.UploadImageRequest(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    while True:
        answer = await server.images.UploadImage(request)
        if answer.HasField("image"):
            return answer.image
        request.offset = answer.committed_bytes
        request.data = data[request.offset : request.offset + piece]


def edit(*sources: image_pb2.ImageSource) -> image_service_pb2.EditRequest:
    """Ask for a change of these images."""
    return image_service_pb2.EditRequest(
        model=MODEL, input=image_pb2.ImageEditInput(prompt="a boat", images=list(sources))
    )


@pytest.mark.parametrize("piece", [100_000, 3_500_000], ids=["small pieces", "one piece"])
async def test_an_upload_can_be_read_and_edited(piece: int) -> None:
    """Pieces of any size that a request may have; the id of the answer is good for ReadImage and as an input."""
    data = noisy_png(1000, 1000)
    async with running_server(sandbox=True) as server:
        image = await upload(server, data, piece)

        read = [
            part.data
            async for part in server.images.ReadImage(image_service_pb2.ReadImageRequest(image_id=image.image_id))
        ]
        result = await server.images.Edit(edit(image_pb2.ImageSource(image_id=image.image_id)))

        assert b"".join(read) == data
        assert len(result.images) == 1


async def test_a_result_is_an_input() -> None:
    """What was drawn is changed without travelling twice."""
    async with running_server(sandbox=True) as server:
        first = await server.images.Edit(edit(image_pb2.ImageSource(data=png(64, 64))))
        again = await server.images.Edit(edit(image_pb2.ImageSource(image_id=first.images[0].image.image_id)))

        assert again.images[0].image.image_id != first.images[0].image.image_id


async def test_a_piece_of_the_wrong_form_is_refused_by_name() -> None:
    """As any other request."""
    async with running_server(sandbox=True) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.UploadImage(image_service_pb2.UploadImageRequest(sha256="x"))

        found = refusal(caught.value)
        assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert set(found.violations) == {"sha256", "size_bytes"}


async def test_inputs_that_cannot_be_had_are_named_before_anything_is_spent() -> None:
    """An address inside, an id that nobody made and one of another process: each by its field."""
    async with running_server(sandbox=True) as server:
        inside = image_pb2.ImageSource(url="http://127.0.0.1:1/cat.png?token=secret")
        gone = image_pb2.ImageSource(image_id="img_nobody")

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Edit(edit(inside, gone))

        found = refusal(caught.value)
        assert (found.reason, found.billed) == ("INPUT_NOT_FETCHED", "no")
        assert set(found.violations) == {"input.images[0].url", "input.images[1].image_id"}
        assert "secret" not in str(found)
        await nothing_left(server)

"""What a client does with generations and images by their ids: resume, cancel, upload, explain."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from imagegen import (
    AsyncClient,
    Client,
    Complete,
    Cost,
    Image,
    ImageGenError,
    ImageWarning,
    PlannedCall,
    Reason,
    _backoff,
)
from imagegen import Started as StartedEvent
from imagegen._upload import PIECE_BYTES
from imagegen.v1 import image_pb2, image_service_pb2

from tests.unit.client.fake_log import LARGE, SMALL, FakeLog, long_log, numbered
from tests.unit.client.fake_server import (
    Context,
    FakeServer,
    complete,
    error_info,
    facts,
    picture,
    result,
    started,
    status_trailer,
)

MODEL = "sandbox/scene"
Upload = image_service_pb2.UploadImageRequest


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "DELAYS", (0.001,) * 3)


async def test_resume_from_the_start(server: FakeServer, client: AsyncClient) -> None:
    """A generation is read whole by somebody who was not there, over breaks of the line."""
    log = FakeLog(server, long_log(), [4, 0, 1])

    async with client.resume(request_id="mine") as stream:
        assert isinstance(await anext(stream), StartedEvent)
        whole = await stream.result()

    assert [image.bytes for image in whole.images] == [LARGE, SMALL]
    assert (stream.generation_id, stream.request_id, stream.last_sequence) == (
        "gen_1",
        "req_1",
        log.events[-1].sequence,
    )
    assert server.called("Resume")[0] == image_service_pb2.ResumeRequest(
        request_id="mine", delivery=image_pb2.Delivery(mode=image_pb2.DELIVERY_MODE_INLINE)
    )
    assert all(request.generation_id == "gen_1" for request in server.called("Resume")[1:])
    assert log.purchases == 0


@pytest.mark.parametrize("after", range(1, 9))
async def test_resume_from_anywhere(server: FakeServer, client: AsyncClient, after: int) -> None:
    """Who begins in the middle gets what was begun after it, and the rest by its id."""
    log = numbered([started(), *complete(LARGE), *complete(SMALL, index=1), result(LARGE, SMALL)])
    FakeLog(server, log, [])

    stream = client.resume("gen_1", after_sequence=after)
    complete_images = [event.index async for event in stream if isinstance(event, Complete)]
    whole = await stream.result()

    assert complete_images == [0, 1][(0 if after < 2 else 1 if after < 6 else 2) :]
    assert [image.has_bytes for image in whole.images] == [after < 2, after < 6]
    assert all(image.image_id for image in whole.images)


async def test_last_sequence_is_where_to_go_on(server: FakeServer, client: AsyncClient) -> None:
    """A stream tells how far it has read, for a resume of one's own."""
    FakeLog(server, numbered([started(), *complete(SMALL), result(SMALL)]), [])

    stream = client.stream(MODEL, "a cat")
    assert stream.last_sequence == 0
    await anext(stream)
    assert stream.last_sequence == 1
    await stream.result()
    assert stream.last_sequence == 4


async def test_cancel(server: FakeServer, client: AsyncClient) -> None:
    """By either id; whether it was running; what the server says is raised."""

    async def ended(_request: Any, _context: Context) -> image_service_pb2.CancelResponse:
        return image_service_pb2.CancelResponse(generation_id="gen_1", stopped=False)

    async def unknown(_request: Any, context: Context) -> image_service_pb2.CancelResponse:
        trailer = status_trailer(grpc.StatusCode.NOT_FOUND, "no", error_info("GENERATION_NOT_FOUND", billed="no"))
        await context.abort(grpc.StatusCode.NOT_FOUND, "no", (trailer,))
        raise AssertionError

    assert await client.cancel("gen_1") is True
    server.cancel = ended
    assert await client.cancel(request_id="mine") is False
    server.cancel = unknown
    with pytest.raises(ImageGenError) as caught:
        await client.cancel("gen_2")

    assert caught.value.reason == Reason.GENERATION_NOT_FOUND
    assert [call.WhichOneof("generation") for call in server.called("Cancel")] == [
        "generation_id",
        "request_id",
        "generation_id",
    ]


async def test_exactly_one_id(client: AsyncClient) -> None:
    """Neither none nor two."""
    with pytest.raises(ValueError, match="by generation_id or by request_id"):
        client.resume()
    with pytest.raises(ValueError, match="by generation_id or by request_id"):
        await client.cancel("gen_1", request_id="mine")
    with pytest.raises(ValueError, match="delivery"):
        client.resume("gen_1", delivery="pigeon")  # type: ignore[arg-type]


class Storage:
    """What stands behind UploadImage."""

    def __init__(self, server: FakeServer, *, there: bytes = b"", fails: tuple[int, ...] = ()) -> None:
        self.data = bytearray(there)
        self.fails = list(fails)
        self.calls = 0
        server.upload = self.take

    async def take(self, request: Upload, context: Context) -> image_service_pb2.UploadImageResponse:
        """Append a piece; the calls of `fails` break, after the piece was taken."""
        self.calls += 1
        if request.data:
            assert request.offset == len(self.data)
            self.data += request.data
        if self.calls in self.fails:
            await context.abort(grpc.StatusCode.INTERNAL, "the line broke")
        answered = image_service_pb2.UploadImageResponse(committed_bytes=len(self.data))
        if len(self.data) == request.size_bytes:
            assert hashlib.sha256(self.data).hexdigest() == request.sha256
            answered.image.CopyFrom(facts(bytes(self.data), image_id="img_up"))
        return answered


async def test_upload_in_pieces(server: FakeServer, client: AsyncClient) -> None:
    """It asks first, then sends pieces below 1 MB; the reference goes into an edit instead of the bytes."""
    data = picture(2 * PIECE_BYTES + 7)
    storage = Storage(server)

    uploaded = await client.upload(Image.from_bytes(data, media_type="image/png"))
    await client.edit(MODEL, "a cat", image=uploaded)

    assert storage.data == data
    sent = cast("list[Upload]", server.called("UploadImage"))
    assert [(call.offset, len(call.data)) for call in sent] == [
        (0, 0),
        (0, PIECE_BYTES),
        (PIECE_BYTES, PIECE_BYTES),
        (2 * PIECE_BYTES, 7),
    ]
    assert all(call.ByteSize() < 1_000_000 for call in sent)
    assert (uploaded.image_id, uploaded.has_bytes, uploaded.size_bytes) == ("img_up", False, len(data))
    assert [source.WhichOneof("source") for source in server.last.request.input.images] == ["image_id"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("there", [0, 100, PIECE_BYTES, 2 * PIECE_BYTES + 7])
async def test_upload_sends_what_is_missing(server: FakeServer, client: AsyncClient, there: int) -> None:
    """What the server has from before is not sent again."""
    data = picture(2 * PIECE_BYTES + 7)
    Storage(server, there=data[:there])

    assert (await client.upload(Image.from_bytes(data))).image_id == "img_up"
    assert sum(len(call.data) for call in server.called("UploadImage")) == len(data) - there


@pytest.mark.parametrize("fails", [(1,), (2,), (2, 4), (2, 3, 4), (4,)])
async def test_upload_goes_on_after_a_break(server: FakeServer, client: AsyncClient, fails: tuple[int, ...]) -> None:
    """Where the line breaks it asks what arrived, and goes on there."""
    data = picture(2 * PIECE_BYTES + 7)
    storage = Storage(server, fails=fails)

    assert (await client.upload(Image.from_bytes(data))).image_id == "img_up"
    assert sum(len(call.data) for call in server.called("UploadImage")) == len(data) == len(storage.data)


async def test_upload_that_gets_nowhere_is_an_error(server: FakeServer, client: AsyncClient) -> None:
    """A line that stays broken, a server that takes nothing, one that speaks of another image, one that refuses."""

    async def nothing(_request: Upload, _context: Context) -> image_service_pb2.UploadImageResponse:
        return image_service_pb2.UploadImageResponse()

    async def other(_request: Upload, _context: Context) -> image_service_pb2.UploadImageResponse:
        return image_service_pb2.UploadImageResponse(image=facts(b"other"))

    async def all_but_an_image(request: Upload, _context: Context) -> image_service_pb2.UploadImageResponse:
        return image_service_pb2.UploadImageResponse(committed_bytes=request.size_bytes)

    async def refuse(_request: Upload, context: Context) -> image_service_pb2.UploadImageResponse:
        trailer = status_trailer(grpc.StatusCode.INVALID_ARGUMENT, "no", error_info("INVALID_REQUEST", billed="no"))
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no", (trailer,))
        raise AssertionError

    image = Image.from_bytes(picture())
    Storage(server, fails=tuple(range(100)))
    with pytest.raises(ImageGenError, match="broke") as caught:
        await client.upload(image)
    assert caught.value.billed == "no"
    for server.upload, text in (
        (nothing, "no more"),
        (other, "another image"),
        (all_but_an_image, "no image"),
        (refuse, "INVALID_REQUEST"),
    ):
        with pytest.raises(ImageGenError, match=text):
            await client.upload(image)
    with pytest.raises(ValueError, match="URL"):
        await client.upload(Image.from_url("https://example.com/a.png"))


async def test_explain(server: FakeServer, client: AsyncClient) -> None:
    """The request that would be sent is explained; every fact of the answer is there, what is absent is None."""

    async def script(_request: Any, _context: Context) -> image_service_pb2.ExplainResponse:
        return image_service_pb2.ExplainResponse(
            calls=[
                image_service_pb2.PlannedCall(
                    model="a/b",
                    method="POST",
                    url="https://a.example/v1",
                    body="{}",
                    requests=2,
                    warnings=[
                        image_pb2.Warning(field="options.seed", reason=image_pb2.WARNING_REASON_IGNORED, message="no")
                    ],
                    expected_duration=Duration(seconds=7),
                    expected_cost=image_pb2.Cost(amount=0.5, currency="USD", estimated=True),
                ),
                image_service_pb2.PlannedCall(model="c/d", method="GRPC", url="e:1", body="x", requests=1),
            ]
        )

    server.explain = script
    calls = await client.explain(MODEL, "a cat", seed=1, resumable=True)
    await client.explain_edit(MODEL, "a dog", image=Image.from_bytes(b"x"), mask=Image.from_bytes(b"m"))

    assert calls == (
        PlannedCall(
            model="a/b",
            method="POST",
            url="https://a.example/v1",
            body="{}",
            requests=2,
            warnings=(ImageWarning(field="options.seed", reason="IGNORED", message="no"),),
            expected_duration=7.0,
            expected_cost=Cost(amount=0.5, currency="USD", estimated=True),
        ),
        PlannedCall(model="c/d", method="GRPC", url="e:1", body="x", requests=1),
    )
    drawn, changed = server.called("Explain")
    assert (drawn.generate.input.prompt, drawn.generate.options.seed, drawn.generate.request_id) == ("a cat", 1, "")
    assert (changed.edit.input.prompt, changed.edit.input.images[0].data) == ("a dog", b"x")


def test_all_of_it_without_an_event_loop(thread_server: FakeServer, sync_client: Client) -> None:
    """The synchronous face does the same."""

    async def nothing(_request: Any, _context: Context) -> image_service_pb2.ExplainResponse:
        return image_service_pb2.ExplainResponse()

    FakeLog(thread_server, long_log(), [3])
    Storage(thread_server)
    thread_server.explain = nothing

    assert sync_client.resume("gen_1").result().image.bytes == LARGE
    assert sync_client.resume("gen_1").last_sequence == 0
    assert sync_client.cancel(request_id="mine") is True
    assert sync_client.upload(Image.from_bytes(picture())).image_id == "img_up"
    assert sync_client.explain(MODEL, "a cat") == ()
    assert sync_client.explain_edit(MODEL, "a cat", image=Image.from_bytes(b"x")) == ()
    assert sync_client.generate(MODEL, "a cat", resumable=True, request_id="mine").request_id == "req_1"

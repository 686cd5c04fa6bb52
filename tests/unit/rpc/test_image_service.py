"""The servicer of ImageService: what it commits, what travels inline, and what counts as delivered."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.caller import ANONYMOUS
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete
from imagegen_server.domain.result import WarningReason
from imagegen_server.generation.generation import BrokenGeneration
from imagegen_server.generation.log import CHUNK_BYTES
from imagegen_server.generation.uploads import Uploads
from imagegen_server.rpc import image_service
from imagegen_server.rpc.image_service import DeliverySettings, ImageService

from tests.support.calls import as_event, edit, generate, watch
from tests.support.context import FakeContext
from tests.support.generation import Workshop, told, workshop, yielding
from tests.support.pictures import noisy_png, png
from tests.support.provider import never

LARGE = noisy_png(1100, 1100)
"""A little over 3 MiB."""


def service(shop: Workshop, **settings: Any) -> ImageService:
    """Make the servicer of an engine."""
    return ImageService(shop.engine, Uploads(shop.store), shop.explainer, DeliverySettings(**settings))


async def answered(
    shop: Workshop,
    request: image_service_pb2.GenerateRequest | None = None,
    context: FakeContext | None = None,
    **settings: Any,
) -> image_pb2.ImageResult:
    """Call Generate."""
    return await service(shop, **settings).Generate(request or generate(), cast("Any", context or FakeContext()))


def images(*data: bytes) -> Workshop:
    """Let the provider make these images."""
    return workshop(yielding(*(Complete(index, item) for index, item in enumerate(data))))


async def test_the_ids_are_sent_before_anything_is_spent() -> None:
    """When the provider is called the call is committed, with both ids in its initial metadata."""
    context, before = FakeContext(), []
    shop = workshop()
    script = shop.provider.script

    async def watching(task: Any, call: Any) -> AsyncIterator[Any]:
        before.append(dict(context.metadata))
        async for event in script(task, call):
            yield event

    shop.provider.script = cast("Any", watching)

    result = await answered(shop, context=context)

    assert before == [
        {"imagegen-generation-id": result.generation_id, "imagegen-request-id": result.request_id},
    ]


@pytest.mark.parametrize("broken", [RuntimeError("gone"), asyncio.CancelledError()], ids=["error", "cancelled"])
async def test_a_call_that_cannot_be_committed_buys_nothing(broken: BaseException) -> None:
    """If the metadata cannot be sent the provider is not called, and nothing is held."""
    shop = workshop()

    with pytest.raises(type(broken)):
        await answered(shop, context=FakeContext(broken=broken))

    assert shop.provider.tasks == []
    assert shop.in_hand == (0, 0, 0)


@pytest.mark.parametrize(
    ("delivery", "inline"),
    [
        ({}, False),
        ({"inlineLimitBytes": len(LARGE)}, True),
        ({"inlineLimitBytes": len(LARGE) - 1}, False),
        ({"inlineLimitBytes": 0}, False),
        ({"mode": "DELIVERY_MODE_REFERENCE", "inlineLimitBytes": len(LARGE)}, False),
    ],
)
async def test_bytes_travel_inline_up_to_the_limit(delivery: dict[str, Any], inline: bool) -> None:
    """3 MiB unless the caller says otherwise; REFERENCE never."""
    assert len(LARGE) > 3 * 1024 * 1024

    result = await answered(images(LARGE), generate(delivery=delivery))

    assert result.images[0].image.data == (LARGE if inline else b"")
    assert result.images[0].image.size_bytes == len(LARGE)
    assert result.images[0].image.image_id


async def test_all_images_travel_or_none() -> None:
    """The limit is for all images together."""
    data = [png(), noisy_png(64, 64)]
    size = sum(map(len, data))

    for limit, inline in ((size, True), (size - 1, False)):
        request = generate(options={"count": 2}, delivery={"inlineLimitBytes": limit})
        result = await answered(images(*data), request)
        assert [bool(image.image.data) for image in result.images] == [inline, inline]


async def test_the_server_caps_the_limit_with_a_warning() -> None:
    """What a caller asks for beyond the server's own limit is told; what is within it is not."""
    request = generate(delivery={"inlineLimitBytes": len(png()) + 1})

    capped = await answered(images(png()), request, max_inline_bytes=len(png()) - 1)
    taken = await answered(images(png()), request, max_inline_bytes=len(png()) + 1)

    assert not capped.images[0].image.data
    assert [(warning.field, warning.reason) for warning in capped.warnings] == [
        ("delivery.inline_limit_bytes", WarningReason.ADJUSTED.value)
    ]
    assert taken.images[0].image.data
    assert not taken.warnings


async def test_a_unary_call_asks_for_no_previews() -> None:
    """Previews that nobody would see are not bought; who asks for them is told."""
    shop = workshop()

    plain = await answered(shop)
    asking = await answered(shop, generate(options={"previewCount": 3}))

    assert [task.preview_count for task in shop.provider.tasks] == [0, 0]
    assert not plain.warnings
    assert [warning.field for warning in asking.warnings] == ["options.preview_count"]


async def test_a_stream_asks_for_two_previews_unless_told() -> None:
    """The default of the stream forms, and the caller's own wish."""
    shop = workshop()
    made = service(shop)

    for options in ({}, {"previewCount": 0}, {"previewCount": 3}):
        await watch(made.StreamGenerate(generate(options=options), cast("Any", FakeContext())))

    assert [task.preview_count for task in shop.provider.tasks] == [2, 0, 3]


async def test_a_deadline_reaches_the_engine() -> None:
    """Too little time left is refused, and no time told is no deadline."""
    with pytest.raises(ImageError) as caught:
        await answered(workshop(), context=FakeContext(time_left=0.5))

    assert caught.value.reason is Reason.DEADLINE_TOO_SHORT


@pytest.mark.parametrize("cancelled", [False, True])
async def test_inline_images_are_delivered_when_the_call_has_ended_well(cancelled: bool) -> None:
    """Only then may they go when room is short; a caller that left has not received them."""
    shop, context = workshop(), FakeContext()
    await answered(shop, context=context)
    assert shop.store.undelivered == 1

    context.end(cancelled=cancelled)

    assert shop.store.undelivered == (1 if cancelled else 0)


async def test_images_by_reference_are_not_delivered() -> None:
    """They wait for ReadImage, after unary calls and streams."""
    shop, context = workshop(), FakeContext()
    request = generate(delivery={"mode": "DELIVERY_MODE_REFERENCE"})

    await answered(shop, request, context)
    await watch(service(shop).StreamGenerate(request, cast("Any", FakeContext())))
    context.end()

    assert shop.store.undelivered == 2


async def test_a_stream_delivers_with_its_result() -> None:
    """Read to its end, its images are delivered; broken off before, they are not."""
    shop = workshop()
    await watch(service(shop).StreamGenerate(generate(), cast("Any", FakeContext())))
    assert shop.store.undelivered == 0

    stream = service(shop).StreamEdit(edit(png()), cast("Any", FakeContext()))
    async for event in stream:
        if as_event(event).HasField("chunk"):
            break
    await stream.aclose()

    assert shop.store.undelivered == 1


async def test_leaving_a_stream_stops_the_generation() -> None:
    """Closing the only stream closes the provider's generator, and nothing is held."""
    shop = workshop(never)
    stream = service(shop).StreamGenerate(generate(), cast("Any", FakeContext()))
    async for event in stream:
        if as_event(event).HasField("preview"):
            break
    await stream.aclose()

    await asyncio.wait_for(shop.provider.closed.wait(), 30)


async def test_a_failed_generation_is_an_error() -> None:
    """Unary calls and streams raise it with what happened."""
    shop = workshop(yielding(ImageError(Reason.PROVIDER_ERROR, "it broke")))

    with pytest.raises(BrokenGeneration) as unary:
        await answered(shop)
    with pytest.raises(BrokenGeneration) as stream:
        await watch(service(shop).StreamGenerate(generate(), cast("Any", FakeContext())))

    for caught in (unary, stream):
        assert caught.value.error.reason is Reason.PROVIDER_ERROR
        assert len(caught.value.failure.attempts) == 1
    assert shop.in_hand == (0, 0, 0)


async def test_who_hears_of_a_failure_has_read_to_the_end() -> None:
    """A failure that a stream has told may be forgotten when too many are kept, like a result that was read."""
    shop = workshop(yielding(ImageError(Reason.PROVIDER_ERROR, "it broke")))

    with pytest.raises(BrokenGeneration) as caught:
        await watch(service(shop).StreamGenerate(generate(requestId="mine"), cast("Any", FakeContext())))

    assert shop.generations.find(ANONYMOUS.name, caught.value.failure.generation_id).told


@pytest.mark.parametrize("given", ["generation_id", "request_id"])
async def test_an_id_that_was_not_given_is_not_told(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """What the log and the error say of the ids is what the caller said."""
    facts: dict[str, object] = {}
    monkeypatch.setattr(image_service, "note", facts.update)
    request = image_service_pb2.CancelRequest(**{given: "nonsense"})

    with pytest.raises(ImageError):
        await service(workshop()).Cancel(request, cast("Any", FakeContext()))

    assert facts == {given: "nonsense"}


async def read(shop: Workshop, image_id: str, offset: int = 0) -> list[image_service_pb2.ReadImageResponse]:
    """Call ReadImage."""
    request = image_service_pb2.ReadImageRequest(image_id=image_id, offset=offset)
    return [piece async for piece in service(shop).ReadImage(request, cast("Any", FakeContext()))]


@pytest.mark.parametrize("offset", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
async def test_an_image_is_read_from_any_offset(offset: int) -> None:
    """The bytes from there on, the facts in the first message only, and then it is delivered."""
    data = noisy_png(420, 420)
    shop = images(data)
    image_id = (await answered(shop)).images[0].image.image_id
    assert shop.store.undelivered == 1

    pieces = await read(shop, image_id, offset)

    assert b"".join(piece.data for piece in pieces) == data[offset:]
    assert [piece.offset for piece in pieces] == list(range(offset, len(data), CHUNK_BYTES))
    assert [piece.HasField("image") for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert (pieces[0].image.image_id, pieces[0].image.size_bytes) == (image_id, len(data))
    assert shop.store.undelivered == 0
    assert shop.in_hand == (0, 0, 0)


async def test_a_read_at_the_end_gives_the_facts() -> None:
    """One message without bytes; past the end it is refused."""
    shop = images(png())
    image_id = (await answered(shop)).images[0].image.image_id

    (only,) = await read(shop, image_id, len(png()))
    with pytest.raises(ImageError) as caught:
        await read(shop, image_id, len(png()) + 1)

    assert (only.image.image_id, only.offset, only.data) == (image_id, len(png()), b"")
    assert told(caught.value) == ["offset"]


async def test_a_read_that_breaks_off_delivers_nothing() -> None:
    """What was not read to its end is kept, and the reader is not counted any more."""
    shop = images(noisy_png(420, 420))
    image_id = (await answered(shop)).images[0].image.image_id
    request = image_service_pb2.ReadImageRequest(image_id=image_id)

    reading = service(shop).ReadImage(request, cast("Any", FakeContext()))
    await anext(reading)
    assert shop.admission.calls == 1
    await reading.aclose()

    assert (shop.store.undelivered, shop.admission.calls) == (1, 0)


async def test_an_image_id_is_required() -> None:
    """No id is malformed, a wrong one is not found."""
    with pytest.raises(ImageError) as missing:
        await read(workshop(), "")
    with pytest.raises(ImageError) as wrong:
        await read(workshop(), "nonsense")

    assert told(missing.value) == ["image_id"]
    assert wrong.value.reason is Reason.IMAGE_NOT_FOUND


async def test_images_belong_to_the_one_caller_there_is() -> None:
    """While the server knows no callers all of them are one."""
    shop = workshop()
    image_id = (await answered(shop)).images[0].image.image_id

    assert (await shop.store.get(ANONYMOUS.name, image_id))[0].image_id == image_id

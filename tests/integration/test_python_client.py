"""The Python client against the real server: what its users meet."""

import asyncio

import pytest
from imagegen import (
    AsyncClient,
    Client,
    Complete,
    Image,
    ImageGenError,
    Preview,
    Progress,
    Reason,
    Started,
)

from tests.support.server import nothing_left, running_server

SCENE = "sandbox/scene"
SMALL = (64, 48)


async def test_generate_edit_and_seed() -> None:
    """A picture is drawn, changed, and drawn again the same from its seed."""
    async with running_server(sandbox=True) as server, AsyncClient(server.address) as client:
        model = client.image(SCENE, size=SMALL)
        first = await model.generate("a harbour at dawn", seed=7)
        again = await model.generate("a harbour at dawn", seed=7)
        changed = await model.edit("more fog", image=first.image)

    assert (first.image.width, first.image.height, first.image.media_type) == (64, 48, "image/png")
    assert first.image.bytes == again.image.bytes != changed.image.bytes
    assert first.image.sha256 == again.image.sha256
    assert first.image.expire_time is not None
    assert (first.model, first.image.seed) == (SCENE, 7)


async def test_stream_shows_the_picture_developing() -> None:
    """Started first, previews whole and in order, then the picture."""
    async with (
        running_server(sandbox=True) as server,
        AsyncClient(server.address) as client,
        client.stream(SCENE, "a harbour", size=SMALL, preview_count=2) as stream,
    ):
        events = [event async for event in stream]
        result = await stream.result()

    assert isinstance(events[0], Started)
    assert any(isinstance(event, Progress) for event in events)
    previews = [event for event in events if isinstance(event, Preview)]
    assert [event.number for event in previews] == [1, 2]
    assert all(event.image.bytes.startswith(b"\x89PNG") for event in previews)
    assert [event.image.bytes for event in events if isinstance(event, Complete)] == [result.image.bytes]


async def test_by_reference_and_read() -> None:
    """Facts first, bytes when they are wanted, the same as inline."""
    async with running_server(sandbox=True) as server, AsyncClient(server.address) as client:
        model = client.image(SCENE, size=(640, 480), seed=7)
        inline = await model.generate("a harbour")
        reference = (await model.generate("a harbour", delivery="reference")).image
        read = await client.read(reference)

    assert not reference.has_bytes
    assert read.bytes == inline.image.bytes
    assert read.seed == 7


async def test_abort_is_felt_by_the_server() -> None:
    """An aborted generation leaves nothing in hand at the server."""
    async with running_server(sandbox=True) as server, AsyncClient(server.address) as client:
        stream = client.stream("sandbox/stall", "a harbour", size=SMALL)
        assert isinstance(await anext(stream), Started)
        await stream.abort()
        await nothing_left(server)

        with pytest.raises(ImageGenError) as caught:
            await stream.result()
    assert caught.value.reason == Reason.CANCELLED


async def test_partial_success() -> None:
    """Some images and some failures are a result."""
    async with running_server(sandbox=True) as server, AsyncClient(server.address) as client:
        result = await client.generate("sandbox/partial", "a harbour", size=SMALL, count=2)

    assert len(result.images) + len(result.failures) == 2
    assert result.failures


@pytest.mark.parametrize(
    ("model", "reason", "billed"),
    [
        ("sandbox/fail-rate-limited", Reason.RATE_LIMITED, "no"),
        ("sandbox/fail-content-filtered", Reason.CONTENT_FILTERED, "no"),
        ("sandbox/fail-quota-exceeded", Reason.QUOTA_EXCEEDED, "no"),
        ("sandbox/fail-provider-error", Reason.PROVIDER_ERROR, "unknown"),
        ("nope/model", Reason.PROVIDER_NOT_CONFIGURED, "no"),
    ],
)
async def test_errors_arrive_whole(model: str, reason: Reason, billed: str) -> None:
    """The reason and the word about money come through the real trailers."""
    async with running_server(sandbox=True) as server, AsyncClient(server.address) as client:
        with pytest.raises(ImageGenError) as caught:
            await client.generate(model, "a harbour", size=SMALL)

    assert (caught.value.reason, caught.value.billed) == (reason, billed)


async def test_violations_name_their_fields() -> None:
    """What is wrong is told field by field."""
    async with running_server(sandbox=True) as server, AsyncClient(server.address) as client:
        with pytest.raises(ImageGenError) as caught:
            await client.generate(SCENE, "", size=SMALL, params={"sandbox": {"no_such_key": 1}})

    assert caught.value.reason == Reason.INVALID_REQUEST
    assert {violation.field for violation in caught.value.violations} == {
        "input.prompt",
        "params.sandbox.no_such_key",
    }


async def test_capabilities_and_models() -> None:
    """What the catalogue says of a model is what the model says of itself."""
    async with running_server(sandbox=True) as server, AsyncClient(server.address) as client:
        listed = {model.name: model async for model in client.models()}
        able = await client.image(SCENE).capabilities()

    assert listed[SCENE].capabilities == able
    assert (able.generate, able.edit, able.previews) == (True, True, "images")


async def test_synchronous_client_in_a_thread() -> None:
    """The thin face does the same from a thread without a loop."""

    def use(address: str) -> tuple[int, list[str]]:
        with Client(address) as client:
            model = client.image(SCENE, size=SMALL)
            with model.stream("a harbour", preview_count=1) as stream:
                kinds = [type(event).__name__ for event in stream if not isinstance(event, Progress)]
            mask = Image.from_bytes(model.generate("white").image.bytes)
            whole = model.edit("fog", image=stream.result().image, mask=mask)
            return len(whole.images), kinds

    async with running_server(sandbox=True) as server:
        images, kinds = await asyncio.to_thread(use, server.address)

    assert images == 1
    assert kinds == ["Started", "Preview", "Complete"]

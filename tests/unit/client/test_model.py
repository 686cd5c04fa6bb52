"""The model object and the short forms of the client: what they ask for."""

from __future__ import annotations

from typing import cast

import grpc
import pytest
from imagegen import AsyncClient, Complete, Image, ImageGenError, ImageOptions, Reason
from imagegen.v1 import image_pb2, image_service_pb2, model_service_pb2

from tests.unit.client.fake_server import (
    EXAMPLE_PROMPT,
    Context,
    FakeServer,
    complete,
    failure,
    opening,
    picture,
    play,
    result,
    started,
)

MODEL = "sandbox/scene"


def generated(server: FakeServer) -> image_service_pb2.GenerateRequest:
    """The last request for new pictures."""
    return cast("image_service_pb2.GenerateRequest", server.last.request)


def edited(server: FakeServer) -> image_service_pb2.EditRequest:
    """The last request for changed pictures."""
    return cast("image_service_pb2.EditRequest", server.last.request)


async def test_generate_goes_over_the_stream(server: FakeServer, client: AsyncClient) -> None:
    """generate() uses the stream form without previews: heartbeats, no size limit, nothing extra to pay."""
    whole = await client.generate(MODEL, EXAMPLE_PROMPT)

    assert server.last.method == "StreamGenerate"
    assert generated(server).model == MODEL
    assert generated(server).input.prompt == EXAMPLE_PROMPT
    assert generated(server).options == image_pb2.ImageOptions(preview_count=0)
    assert (whole.model, whole.generation_id, whole.request_id) == (MODEL, "gen_1", "req_1")
    assert whole.image.bytes == picture()


async def test_previews_of_generate_can_be_asked_for(server: FakeServer, client: AsyncClient) -> None:
    """A number of previews that the caller sets is sent, whoever sets it."""
    await client.generate(MODEL, "a cat", preview_count=3)
    assert generated(server).options.preview_count == 3

    await client.image(MODEL, preview_count=1).generate("a cat")
    assert generated(server).options.preview_count == 1


async def test_stream_leaves_previews_to_the_server(server: FakeServer, client: AsyncClient) -> None:
    """In a stream an unset number of previews stays unset."""
    await client.stream(MODEL, "a cat").result()

    assert not generated(server).options.HasField("preview_count")


async def test_model_is_bound_with_its_params_and_options(server: FakeServer, client: AsyncClient) -> None:
    """What a model was made with goes into all of its calls, and a call's own word goes first."""
    model = client.image(
        MODEL, params={"sandbox": {"style": "ink"}}, options=ImageOptions(quality="low"), seed=1, strict=True
    )

    await model.generate("a cat", seed=2, params={"sandbox": {"fog": 0.5}})

    assert (model.model, model.params) == (MODEL, {"sandbox": {"style": "ink"}})
    assert model.options == ImageOptions(quality="low", seed=1)
    asked = generated(server)
    assert (asked.options.quality, asked.options.seed, asked.strict) == ("low", 2, True)
    assert dict(asked.params["sandbox"]) == {"style": "ink", "fog": 0.5}


async def test_edit_sends_images_and_mask(server: FakeServer, client: AsyncClient) -> None:
    """edit() takes one image, references and a mask, over the stream form without previews."""
    one, two, mask = (Image.from_bytes(data, media_type="image/png") for data in (b"one", b"two", b"mask"))

    await client.edit(MODEL, "add a boat", image=one, images=[two], mask=mask, size="64x64")

    assert server.last.method == "StreamEdit"
    asked = edited(server)
    assert [source.data for source in asked.input.images] == [b"one", b"two"]
    assert asked.input.mask.data == b"mask"
    assert (asked.input.prompt, asked.options.preview_count, asked.options.size.width) == ("add a boat", 0, 64)


async def test_stream_edit_tells_how_it_goes(server: FakeServer, client: AsyncClient) -> None:
    """The same request, as a stream; references to images are passed on for the server to judge."""
    model = client.image(MODEL)
    events = [event async for event in model.stream_edit("", images=[Image.from_url("https://example.com/a.png")])]
    await client.stream_edit(MODEL, "", image=Image.from_id("img_1")).result()

    assert isinstance(events[-1], Complete)
    assert edited(server).input.images[0].image_id == "img_1"
    first = cast("image_service_pb2.EditRequest", server.calls[0].request)
    assert first.input.images[0].url == "https://example.com/a.png"


async def test_partial_success_is_a_result(server: FakeServer, client: AsyncClient) -> None:
    """Some images and some failures are no error."""
    server.stream = play(started(), *complete(picture()), result(picture(), failures=[failure(1)]))

    whole = await client.generate(MODEL, "a cat", count=2)

    assert len(whole.images) == 1
    assert whole.failures[0].reason == Reason.CONTENT_FILTERED


async def test_delivery_by_reference(server: FakeServer, client: AsyncClient) -> None:
    """With delivery by reference a result has facts and ids, and no bytes were sent."""
    server.stream = play(started(), opening(picture()), result(picture()))

    whole = await client.generate(MODEL, "a cat", delivery="reference")

    assert generated(server).delivery.mode == image_pb2.DELIVERY_MODE_REFERENCE
    assert not whole.image.has_bytes
    assert whole.image.image_id


async def test_mistakes_are_seen_before_anything_is_sent(server: FakeServer, client: AsyncClient) -> None:
    """A parameter that cannot be carried is an error of the call, in all forms, and the server hears nothing."""
    with pytest.raises(ValueError, match=r"params\.sandbox\.n"):
        await client.generate(MODEL, "a cat", params={"sandbox": {"n": 2**60}})
    with pytest.raises(ValueError, match=r"options\.size"):
        client.stream(MODEL, "a cat", size="huge")
    with pytest.raises(TypeError, match="sede"):
        client.image(MODEL, sede=1)  # type: ignore[call-arg]

    assert server.calls == []


async def test_timeout_of_the_call_goes_before_that_of_the_client(server: FakeServer, client: AsyncClient) -> None:
    """The nearest limit is the one that the server is told."""
    await client.generate(MODEL, "a cat")
    assert server.last.time_remaining == pytest.approx(30, abs=2)

    await client.image(MODEL, timeout=100).generate("a cat")
    assert server.last.time_remaining == pytest.approx(100, abs=2)

    await client.image(MODEL, timeout=100).generate("a cat", timeout=200)
    assert server.last.time_remaining == pytest.approx(200, abs=2)


async def test_capabilities_are_asked_for_once(server: FakeServer, client: AsyncClient) -> None:
    """What a model can do is remembered; a failure to ask is not."""
    answers = [model_service_pb2.Model(name=MODEL, capabilities=model_service_pb2.ModelCapabilities(edit=False))]

    async def get(request: model_service_pb2.GetModelRequest, context: Context) -> model_service_pb2.GetModelResponse:
        assert request.model == MODEL
        if len(server.calls) == 1:
            await context.abort(grpc.StatusCode.INTERNAL, "not now")
        return model_service_pb2.GetModelResponse(model=answers.pop())

    server.get_model = get
    model = client.image(MODEL)

    with pytest.raises(ImageGenError) as caught:
        await model.capabilities()
    able = await model.capabilities()

    assert caught.value.billed == "no"
    assert await model.capabilities() is able
    assert (able.edit, able.generate, able.max_images, able.previews) == (False, None, None, "unknown")

"""What a model is said to be able to do is true, and is held to."""

import grpc
import pytest
from imagegen.v1 import model_service_pb2

from tests.parity.service import draw, openai_service
from tests.support.calls import edit, refusal, watch
from tests.support.pictures import png


async def test_capabilities_are_those_of_the_model() -> None:
    """Models of one vendor differ, and what is not known of a model is absent rather than claimed."""
    told = {}
    async with openai_service() as service:
        for model in ("gpt-image-2", "dall-e-2", "dall-e-3", "new-model-of-tomorrow"):
            request = model_service_pb2.GetModelRequest(model=f"openai/{model}")
            told[model] = (await service.server.models.GetModel(request)).model.capabilities

    assert (told["gpt-image-2"].edit, told["gpt-image-2"].streaming, told["gpt-image-2"].max_images) == (True, True, 10)
    assert (told["dall-e-2"].edit, told["dall-e-2"].streaming, told["dall-e-2"].max_images) == (True, False, 10)
    assert (told["dall-e-3"].edit, told["dall-e-3"].streaming, told["dall-e-3"].max_images) == (False, False, 1)
    unknown = told["new-model-of-tomorrow"]
    assert not any(unknown.HasField(name) for name in ("generate", "edit", "streaming", "max_images"))


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_edit_by_a_model_that_cannot_is_refused(streaming: bool) -> None:
    """A model that never edited is not asked to: the call is refused before anything is spent."""
    request = edit(png(16, 16), model="openai/dall-e-3")
    async with openai_service() as service:
        images = service.server.images
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (watch(images.StreamEdit(request)) if streaming else images.Edit(request))

        assert service.fake.requests == []
    told = refusal(caught.value)
    assert (told.reason, told.billed) == ("OPERATION_NOT_SUPPORTED", "no")


async def test_more_images_than_one_request_makes_are_asked_for_in_several() -> None:
    """Twelve pictures of a model that makes ten at a time are two requests and twelve pictures."""
    async with openai_service() as service:
        result = await service.server.images.Generate(draw(options={"count": 12}))
        asked = sorted(request.json["n"] for request in service.fake.requests)

    assert asked == [2, 10]
    assert [image.index for image in result.images] == list(range(12))


async def test_more_images_than_the_server_takes_are_refused() -> None:
    """A count that cannot be had is refused by its field; it is never cut in silence, and nothing is spent."""
    async with openai_service() as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.server.images.Generate(draw(options={"count": 17}))

        assert service.fake.requests == []
    assert list(refusal(caught.value).violations) == ["options.count"]

"""Edits are generations like any other."""

import grpc
import pytest

from tests.parity.service import MODEL, change, draw, openai_service
from tests.support.calls import edit, refusal, watch
from tests.support.pictures import png

OPTIONS = {
    "size": {"width": 1536, "height": 1024},
    "quality": "low",
    "background": "opaque",
    "format": "webp",
    "compression": 70,
}
SENT = {
    "size": "1536x1024",
    "quality": "low",
    "background": "opaque",
    "output_format": "webp",
    "output_compression": "70",
}


@pytest.mark.parametrize("streaming", [False, True])
async def test_every_option_and_param_of_an_edit_reaches_the_provider(streaming: bool) -> None:
    """An edit sends what a generation sends, and the vendor's own parameters beside it."""
    params = {"openai": {"input_fidelity": "high", "user": "u-1"}}
    request = edit(png(16, 16), model="openai/gpt-image-1.5", options=OPTIONS, params=params)
    async with openai_service() as service:
        images = service.server.images
        await (watch(images.StreamEdit(request)) if streaming else images.Edit(request))
        (sent,) = service.fake.requests

    expected = SENT | {"model": "gpt-image-1.5", "prompt": "a boat", "input_fidelity": "high", "user": "u-1"}
    if streaming:
        expected |= {"stream": "true", "partial_images": "2"}
    assert sent.path == "/v1/images/edits"
    assert sent.fields == expected


async def test_every_option_and_param_of_a_generation_reaches_the_provider() -> None:
    """What an edit sends as text is sent as JSON values of their own types, moderation among them."""
    async with openai_service() as service:
        await service.server.images.Generate(draw(options=OPTIONS, params={"openai": {"moderation": "low"}}))
        (sent,) = service.fake.requests

    assert sent.json == SENT | {
        "model": "gpt-image-2",
        "prompt": "a boat",
        "output_compression": 70,
        "moderation": "low",
    }


async def test_edits_and_generations_warn_alike() -> None:
    """What the model does not know is warned of by the same field in both, and refused by both when strict."""
    wish = {"options": {"seed": "7", "negativePrompt": "fog"}}
    async with openai_service() as service:
        images = service.server.images
        drawn, changed = await images.Generate(draw(**wish)), await images.Edit(change(**wish))
        for call in (images.Generate(draw(**wish, strict=True)), images.Edit(change(**wish, strict=True))):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert set(refusal(caught.value).violations) == {"options.seed", "options.negative_prompt"}

        assert len(service.fake.requests) == 2
    assert {warning.field for warning in changed.warnings} == {"options.seed", "options.negative_prompt"}
    assert drawn.warnings == changed.warnings


async def test_an_edit_takes_several_images() -> None:
    """Every picture of an edit is sent, in order, each as what it is."""
    given = [png(16, 16, shade=shade) for shade in (1, 2, 3)]
    async with openai_service() as service:
        await service.server.images.Edit(change(*given))
        (sent,) = service.fake.requests

    assert [(part.name, part.content_type, part.data) for part in sent.files] == [
        ("image[]", "image/png", data) for data in given
    ]


async def test_a_mask_is_sent_with_the_image() -> None:
    """What may change is told to the vendor as it reads masks: a picture with transparency."""
    async with openai_service() as service:
        await service.server.images.Edit(edit(png(16, 16), mask=png(16, 16, shade=255), model=MODEL))
        (sent,) = service.fake.requests

    assert [part.name for part in sent.files] == ["image", "mask"]


@pytest.mark.parametrize("form", ["b64_json", "url"])
async def test_the_form_of_the_answer_is_not_the_callers(form: str) -> None:
    """How the vendor sends its bytes is the server's business: asking for it names the field and spends nothing."""
    params = {"openai": {"response_format": form}}
    async with openai_service() as service:
        for call in (
            service.server.images.Generate(draw(params=params)),
            service.server.images.Edit(change(params=params)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert list(refusal(caught.value).violations) == ["params.openai.response_format"]

        assert service.fake.requests == []

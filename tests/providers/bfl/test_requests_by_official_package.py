"""What the adapter sends is what the vendor's own package sends for the same wish, and what its document allows.

One difference is meant: the package writes out the defaults of the vendor's document, the adapter says nothing that was
not asked for. FLUX.2 and newer models are not in the package; for them there is the document alone.
"""

import base64
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.task import Operation, Options, PixelSize, Wish
from PIL import Image

from tests.support.bfl_package import DEFAULTS, MODELS, generated, package_on_fake
from tests.support.bfl_provider import bfl_workshop
from tests.support.generation import as_input
from tests.support.openapi import validator
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest

SPEC = "BFL_OPENAPI_SPEC"
SCHEMAS = {
    **dict.fromkeys(("flux-2-max", "flux-2-pro", "flux-2-pro-preview"), "Flux2Inputs"),
    "flux-2-flex": "Flux2FlexInputs",
    **dict.fromkeys(("flux-2-klein-9b", "flux-2-klein-9b-preview", "flux-2-klein-4b"), "Flux2KleinInputs"),
    **dict.fromkeys(("flux-kontext-max", "flux-kontext-pro"), "FluxKontextProInputs"),
    "flux-pro-1.1": "FluxPro11Inputs",
    "flux-dev": "FluxDevInputs",
    "flux-pro-1.1-ultra": "FluxUltraInput",
    "flux-pro-1.1-ultra-finetuned": "FinetuneFluxUltraInput",
    "flux-pro-1.0-fill": "FluxProFillInputs",
    "flux-pro-1.0-fill-finetuned": "FinetuneFluxProFillInputs",
    "flux-pro-1.0-expand": "FluxProExpandInputs",
    "flux-tools/outpainting-v1": "FluxOutpaintingInputs",
    "flux-tools/erase-v1": "Flux2EraseInputs",
    "flux-tools/vto-v1": "Flux2KleinTryonInputs",
}
"""The schema of every model that stands in the document of the summer of 2026."""

_PICTURE = Image.new("RGB", (256, 256), "teal")
PICTURES = {"png": png(256, 256), "jpeg": encoded(_PICTURE, "JPEG"), "webp": encoded(_PICTURE, "WEBP")}
HALF = Image.new("L", (256, 256), 0)
HALF.paste(255, (128, 0, 256, 256))
MASK = encoded(HALF, "PNG")
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60)
_TOLERANCE = {"safety_tolerance": st.integers(0, 5)}
_STEPS = {"steps": st.integers(15, 50), "guidance": st.integers(2, 60)}
_UPSAMPLING = {"prompt_upsampling": st.booleans()}


@dataclass(frozen=True)
class Asked:
    """A wish in both languages: ours, and the vendor's fields."""

    wish: Wish
    model: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What can be asked of a model. `images` names the fields of its inputs, `least` of which must be there."""

    images: tuple[str, ...] = ()
    least: int = 0
    mask: bool = False
    step: int = 0
    ratio: bool = False
    seed: bool = True
    params: dict[str, st.SearchStrategy[Any]] | None = None
    needed: dict[str, st.SearchStrategy[Any]] | None = None


def _inputs(most: int) -> tuple[str, ...]:
    return ("input_image", *(f"input_image_{number}" for number in range(2, most + 1)))


_PRO = Kind(_inputs(8), step=16, params=_TOLERANCE)
_KLEIN = replace(_PRO, images=_inputs(4))
_KONTEXT = Kind(_inputs(4), ratio=True, params=_TOLERANCE | _UPSAMPLING)
_REDUX = Kind(("image_prompt",), step=32, params=_TOLERANCE | _UPSAMPLING)
_ULTRA = Kind(("image_prompt",), ratio=True, params=_TOLERANCE | _UPSAMPLING | {"image_prompt_strength": st.just(0.5)})
_FILL = Kind(("image",), 1, mask=True, params=_TOLERANCE | _UPSAMPLING | _STEPS)
_FINETUNE = {"finetune_id": st.just("org/lora")}
KINDS = {
    **dict.fromkeys(("flux-2-max", "flux-2-pro", "flux-2-pro-preview"), _PRO),
    "flux-2-flex": replace(_PRO, params={**_TOLERANCE, **_UPSAMPLING, "steps": st.integers(1, 50)}),
    **dict.fromkeys(("flux-2-klein-9b", "flux-2-klein-9b-preview", "flux-2-klein-4b"), _KLEIN),
    **dict.fromkeys(("flux-kontext-max", "flux-kontext-pro"), _KONTEXT),
    "flux-pro-1.1": _REDUX,
    "flux-dev": replace(_REDUX, params={**_TOLERANCE, "steps": st.integers(1, 50)}),
    "flux-pro-1.1-ultra": replace(_ULTRA, params={**_TOLERANCE, "raw": st.booleans()}),
    "flux-pro-1.1-ultra-finetuned": replace(_ULTRA, needed=_FINETUNE),
    "flux-pro-1.0-fill": _FILL,
    "flux-pro-1.0-fill-finetuned": replace(_FILL, needed=_FINETUNE),
    "flux-pro-1.0-expand": replace(_FILL, mask=False, needed={"left": st.integers(1, 2048)}),
    "flux-tools/outpainting-v1": Kind(("input_image",), 1, step=1, seed=False, params={"auto_crop": st.booleans()}),
    "flux-tools/erase-v1": Kind(("image",), 1, mask=True, params={"dilate_pixels": st.integers(0, 25)}),
    "flux-tools/vto-v1": Kind(("person", "garment"), 2, params=_TOLERANCE),
}


@st.composite
def _asked(draw: st.DrawFn, model: str) -> Asked:
    """Make a wish that has a meaning in both languages."""
    kind = KINDS[model]
    pictures = draw(st.lists(st.sampled_from(sorted(PICTURES)), min_size=kind.least, max_size=len(kind.images)))
    size = None
    if kind.step and draw(st.booleans() if kind.seed else st.just(True)):  # noqa: FBT003 - the strategy's way
        side = st.integers(256 // kind.step, 1440 // kind.step)
        size = PixelSize(draw(side) * kind.step, draw(side) * kind.step)
    options = Options(
        size=size,
        aspect_ratio=draw(st.sampled_from([None, "1:1", "21:9", "2:3"])) if kind.ratio else None,
        format=draw(st.sampled_from([None, "jpeg", "png"])),
        seed=draw(st.none() | st.integers(0, 2**31)) if kind.seed else None,
    )
    mask = kind.mask
    fields = {
        "prompt": draw(_TEXTS) if model != "flux-tools/erase-v1" else None,
        "width": size.width if size else None,
        "height": size.height if size else None,
        "aspect_ratio": options.aspect_ratio,
        "output_format": options.format,
        "seed": options.seed,
        "mask": base64.b64encode(MASK).decode() if mask else None,
        **{
            name: base64.b64encode(PICTURES[picture]).decode()
            for name, picture in zip(kind.images, pictures, strict=False)
        },
    }
    params: dict[str, Any] = draw(st.fixed_dictionaries(kind.needed or {}, optional=kind.params or {}))
    images = tuple(as_input(PICTURES[picture]) for picture in pictures)
    operation = Operation.EDIT if images else Operation.GENERATE
    wish = Wish(
        operation,
        f"bfl/{model}",
        str(fields["prompt"] or ""),
        options,
        images,
        as_input(MASK) if mask else None,
        {"bfl": params},
    )
    return Asked(wish, model, {name: value for name, value in fields.items() if value is not None} | params)


async def sent_by_adapter(wish: Wish) -> RecordedRequest:
    """Do a wish on the strict fake, and return what was submitted."""
    async with bfl_workshop() as made:
        result = await made.workshop.result(wish)
    assert result.warnings == ()
    (request,) = made.fake.submitted
    return request


def without_pixels(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out the mask, whose PNG each side writes by its own encoder."""
    return {name: value for name, value in fields.items() if name != "mask"}


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_a_picture_is_asked_for_in_the_same_words(model: str, data: st.DataObject) -> None:
    """Method, path, key and JSON are equal, but for the defaults that the package writes out."""
    asked = data.draw(_asked(model))
    async with package_on_fake() as (fake, client):
        await generated(client, model, asked.fields)
    (theirs,) = fake.requests
    ours = await sent_by_adapter(asked.wish)

    assert (ours.method, ours.path, ours.media_type) == (theirs.method, theirs.path, theirs.media_type)
    assert ours.headers["x-key"] == theirs.headers["x-key"]
    assert without_pixels(DEFAULTS[model] | ours.json) == without_pixels(theirs.json)
    assert ("mask" in ours.json) is ("mask" in theirs.json)


@pytest.mark.parametrize("model", SCHEMAS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_a_request_is_valid_by_the_openapi_document(model: str, data: st.DataObject) -> None:
    """With no field that the document does not have."""
    schema = validator(SCHEMAS[model], (), SPEC)
    asked = data.draw(_asked(model))

    assert list(schema.iter_errors((await sent_by_adapter(asked.wish)).json)) == []


async def test_the_fakes_answers_are_valid_by_the_openapi_document() -> None:
    """What was submitted, what has come of it, and what is wrong; each with every member that the document names."""
    async with bfl_workshop() as made:
        await made.workshop.result(Wish(Operation.GENERATE, "bfl/flux-2-pro", "a boat", Options()))
        submitted, asked, _ = made.fake.requests
        answers = [made.fake.draw(call, checks_only=False) for call in (submitted, asked)]
    bodies = [recorded_json(answer.pieces[0]) for answer in answers]

    # The price of what has come is newer than the document.
    assert list(validator("AsyncResponse", (), SPEC).iter_errors(bodies[0])) == []
    assert list(validator("ResultResponse", ("status",), SPEC).iter_errors(bodies[1])) == []
    wrong = {"detail": [{"loc": ["body", "width"], "msg": "Field required", "type": "missing"}]}
    assert list(validator("HTTPValidationError", (), SPEC).iter_errors(wrong)) == []


def recorded_json(piece: Any) -> Any:
    """Read what the fake wrote."""
    return RecordedRequest("GET", "/", {}, piece).json


def test_the_openapi_document_would_find_a_field_that_is_wrong() -> None:
    """The check above is one."""
    schema = validator("Flux2Inputs", (), SPEC)
    wish: dict[str, Any] = {"prompt": "a boat"}

    assert schema.is_valid(wish)
    wrongs: list[dict[str, Any]] = [{"mask": "x"}, {"width": 8}, {"output_format": "gif"}, {"seed": "7"}]
    for wrong in wrongs:
        assert not schema.is_valid(wish | wrong)

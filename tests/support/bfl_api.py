"""A fake of Black Forest Labs' API on a loopback port.

As strict as the vendor's OpenAPI document, and stricter in one thing: a field that a model does not have is refused
everywhere, which the vendor does for some models and overlooks for the others. The rules for sizes that only its pages
name are kept, too. The official package `blackforest` and a copy of the document are held against it in
tests/providers/bfl.
"""

import base64
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from PIL import Image

from .openai_wire import picture
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

KEY = "bfl_test_key_0123456789abcdef"
CREDITS = 4.5
"""What an image costs here: 0.045 USD."""
SEED = 1_234_567

Check = Callable[[Any], str]
"""Says what is wrong with a value; "" = nothing."""


def _whole(least: int | None = None, most: int | None = None, step: int = 1) -> Check:
    def check(value: Any) -> str:
        if type(value) is not int:
            return "Input should be a valid integer"
        if least is not None and value < least:
            return f"Input should be greater than or equal to {least}"
        if most is not None and value > most:
            return f"Input should be less than or equal to {most}"
        return f"Input should be a multiple of {step}" if value % step else ""

    return check


def _number(least: float, most: float) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "Input should be a valid number"
        return "" if least <= value <= most else f"Input should be between {least} and {most}"

    return check


def _one_of(*values: str) -> Check:
    return lambda value: "" if value in values else f"Input should be {', '.join(map(repr, values))}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else "Input should be a valid string"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "Input should be a valid boolean"


def _image(value: Any) -> str:
    if not isinstance(value, str):
        return "Input should be a valid string"
    try:
        Image.open(io.BytesIO(base64.b64decode(value, validate=True))).load()
    except (ValueError, OSError):
        return "Invalid image"
    return ""


def _images(value: Any) -> str:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not 1 <= len(listed) <= 10:
        return "List should have 1 to 10 items"
    return next(filter(None, map(_image, listed)), "")


def _ratio(value: Any) -> str:
    width, _, height = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        return "Aspect ratio must be in the format of 'width:height'"
    return "" if 1 / 4 <= int(width) / int(height) <= 4 else "Aspect ratio must be between 21:9 and 9:21"


Fields = Mapping[str, Check]
_FORMAT = {"output_format": _one_of("jpeg", "png", "webp")}
_SEED = {"seed": _whole()}
_TO_5 = {"safety_tolerance": _whole(0, 5)}
_TO_6 = {"safety_tolerance": _whole(0, 6)}
_ANY_SIZE = {"width": _whole(64, step=16), "height": _whole(64, step=16)}
_OLD_SIZE = {"width": _whole(256, 1440, 32), "height": _whole(256, 1440, 32)}
_UPSAMPLING = {"prompt_upsampling": _flag}
_PROMPT = {"prompt": _text}
_STEPS = {"steps": _whole(15, 50), "guidance": _number(1.5, 100)}
_FINETUNE = {"finetune_id": _text, "finetune_strength": _number(0, 2)}


def _inputs(most: int) -> Fields:
    return {"input_image": _image, **{f"input_image_{number}": _image for number in range(2, most + 1)}}


_FLUX_2 = {**_PROMPT, **_inputs(8), **_SEED, **_ANY_SIZE, **_TO_5, **_FORMAT}
_PRO = {**_FLUX_2, "disable_pup": _flag}
_KLEIN = {**_PROMPT, **_inputs(4), **_SEED, **_ANY_SIZE, **_TO_5, **_FORMAT}
_KONTEXT = {**_PROMPT, **_inputs(4), **_SEED, "aspect_ratio": _ratio, **_FORMAT, **_UPSAMPLING, **_TO_6}
_REDUX = {**_PROMPT, "image_prompt": _image, **_OLD_SIZE, **_UPSAMPLING, **_SEED, **_TO_6, **_FORMAT}
_ULTRA = {
    **(_PROMPT | _UPSAMPLING | _SEED | _TO_6 | _FORMAT),
    "aspect_ratio": _ratio,
    "raw": _flag,
    "image_prompt": _image,
    "image_prompt_strength": _number(0, 1),
}
_FILL = {"image": _image, "mask": _image, **_PROMPT, **_STEPS, **_UPSAMPLING, **_SEED, **_FORMAT, **_TO_6}
_EXPAND = {
    **{name: check for name, check in _FILL.items() if name != "mask"},
    **{side: _whole(0, 2048) for side in ("top", "bottom", "left", "right")},
}
_TOOL = {**_TO_5, **_FORMAT}

FLUX_3_RATIOS = "auto 21:9 2:1 16:9 3:2 7:5 4:3 5:4 1:1 4:5 3:4 5:7 2:3 9:16 1:2 9:21".split()  # noqa: SIM905 - to be read
MODELS: Mapping[str, tuple[Fields, Sequence[str]]] = {
    "flux-3-image": (
        {
            "prompt": _text,
            "images": _images,
            "aspect_ratio": _one_of(*FLUX_3_RATIOS),
            "resolution": _one_of("768sq", "1k", "1.5k", "2k", "4k"),
            "safety_tolerance": _whole(0, 4),
            "grounding": _flag,
            "version": _one_of("latest"),
        },
        ["prompt"],
    ),
    **dict.fromkeys(("flux-2-max", "flux-2-pro", "flux-2-pro-preview"), (_PRO, ["prompt"])),
    "flux-2-flex": (
        {**_FLUX_2, **_UPSAMPLING, "guidance": _number(1.5, 10), "steps": _whole(1, 50)},
        ["prompt"],
    ),
    **dict.fromkeys(("flux-2-klein-9b", "flux-2-klein-9b-preview", "flux-2-klein-4b"), (_KLEIN, ["prompt"])),
    **dict.fromkeys(("flux-kontext-max", "flux-kontext-pro"), (_KONTEXT, ["prompt"])),
    "flux-pro-1.1": (_REDUX, []),
    "flux-dev": ({**_REDUX, "steps": _whole(1, 50), "guidance": _number(1.5, 5)}, []),
    "flux-pro-1.1-ultra": (_ULTRA, []),
    "flux-pro-1.1-ultra-finetuned": (
        {**{name: check for name, check in _ULTRA.items() if name != "raw"}, **_FINETUNE},
        ["finetune_id"],
    ),
    "flux-pro-1.0-fill": (_FILL, ["image"]),
    "flux-pro-1.0-fill-finetuned": ({**_FILL, **_FINETUNE}, ["finetune_id", "image"]),
    "flux-pro-1.0-expand": (_EXPAND, ["image"]),
    "flux-tools/outpainting-v1": (
        {
            "input_image": _image,
            "width": _whole(64),
            "height": _whole(64),
            "auto_crop": _flag,
            "prompt": _text,
            "reference_offset_x": _whole(),
            "reference_offset_y": _whole(),
            "mode": _one_of("high", "fast"),
            **_TOOL,
        },
        ["input_image", "width", "height"],
    ),
    "flux-tools/erase-v1": (
        {"image": _image, "mask": _image, "dilate_pixels": _whole(0, 25), **_SEED, **_TOOL},
        ["image", "mask"],
    ),
    "flux-tools/deblur-v1": ({"image": _image, **_SEED, **_TOOL}, ["image"]),
    **dict.fromkeys(
        ("flux-tools/vto-v1", "flux-tools/vto-v2"),
        ({**_PROMPT, "person": _image, "garment": _image, **_SEED, **_TOOL}, ["prompt", "person", "garment"]),
    ),
}
"""The fields of every model that makes pictures, and those that must be there."""

_PNG_BY_ITSELF = ("flux-3", "flux-kontext", "flux-tools/outpainting", "flux-tools/erase", "flux-tools/deblur")
_NULLABLE_SEED = frozenset({"seed", "prompt", "output_format", "aspect_ratio", "width", "height"})
_MOST_PIXELS = 2048 * 2048


class FakeBFL(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say. A task is ready when asked after."""

    def __init__(self) -> None:
        """Know one key."""
        super().__init__()
        self._numbers = count(1)
        self._tasks: dict[str, tuple[str, dict[str, Any]]] = {}

    @property
    def submitted(self) -> list[RecordedRequest]:
        """What was asked for."""
        return [call for call in self.requests if call.method == "POST"]

    def task_body(self, **changes: Any) -> dict[str, Any]:
        """Answer what was submitted, with a task that this fake does not know."""
        return {"id": "task-0", "polling_url": f"{self.base_url}/v1/get_result?id=task-0"} | changes

    def sample_url(self, name: str = "sample.png") -> str:
        """Tell where a picture lies."""
        return f"{self.base_url}/delivery/{name}?sig=abc"

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        if call.path.startswith("/delivery/"):
            return self._deliver(call)
        key = call.headers.get("x-key")
        if key is None:
            raise RefusalError(403, {"detail": "Not authenticated"})
        if key != KEY:
            raise RefusalError(403, {"detail": "Not authenticated - Invalid Authentication"})
        if call.path == "/v1/get_result":
            return self._result(call)
        model = call.path.removeprefix("/v1/")
        if model not in MODELS:
            raise RefusalError(404, {"detail": "Not Found"})
        if call.method != "POST":
            raise RefusalError(405, {"detail": "Method Not Allowed"})
        body = _read(call, model)
        if checks_only:
            return Answer()
        task_id = f"task-{next(self._numbers)}"
        self._tasks[task_id] = (model, body)
        # The package `blackforest` knows no other than these two.
        told = {"id": task_id, "polling_url": f"{self.base_url}/v1/get_result?id={task_id}"}
        return json_answer(200, told | {"cost": CREDITS, "input_mp": 0.0, "output_mp": 1.05})

    def _result(self, call: RecordedRequest) -> Answer:
        name, _, task_id = call.query.partition("=")
        if name != "id":
            raise RefusalError(422, {"detail": [{"loc": ["query", "id"], "msg": "Field required", "type": "missing"}]})
        if task_id not in self._tasks:
            return json_answer(200, {"id": task_id, "status": "Task not found", "result": None})
        model, body = self._tasks[task_id]
        kind = body.get("output_format") or ("png" if model.startswith(_PNG_BY_ITSELF) else "jpeg")
        width, height = body.get("width") or 16, body.get("height") or 16
        result: dict[str, Any] = {
            "sample": self.sample_url(f"{width}x{height}.{kind}"),
            "prompt": body.get("prompt", ""),
            "start_time": 1_790_000_000.25,
            "end_time": 1_790_000_002.5,
            "duration": 2.25,
        }
        if model != "flux-3-image":
            result["seed"] = SEED if body.get("seed") is None else body["seed"]
        told = {"id": task_id, "status": "Ready", "result": result}
        return json_answer(200, told | {"progress": None, "details": None, "preview": None})

    def _deliver(self, call: RecordedRequest) -> Answer:
        if "x-key" in call.headers:
            raise AssertionError("the key goes to the API alone")
        stem, _, kind = call.path.removeprefix("/delivery/").rpartition(".")
        width, _, height = stem.partition("x")
        size = (int(width), int(height)) if width.isdecimal() and height.isdecimal() else (16, 16)
        return Answer(200, {"content-type": f"image/{kind}"}, [picture(size, kind)])


def _read(call: RecordedRequest, model: str) -> dict[str, Any]:
    fields, needed = MODELS[model]
    if call.media_type != "application/json":
        raise _refused([{"loc": ["body"], "msg": "Input should be a valid dictionary", "type": "dict_type"}])
    body: dict[str, Any] = {
        name: value for name, value in call.json.items() if not (value is None and name in _NULLABLE_SEED)
    }
    wrong = [{"loc": ["body", name], "msg": "Field required", "type": "missing"} for name in needed if name not in body]
    for name, value in body.items():
        if name not in fields:
            wrong.append({"loc": ["body", name], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"})
        elif problem := fields[name](value):
            wrong.append({"loc": ["body", name], "msg": problem, "type": "value_error"})
    if wrong:
        raise _refused(wrong)
    if model.startswith("flux-2") and body.get("width", 0) * body.get("height", 0) > _MOST_PIXELS:
        raise RefusalError(400, {"detail": "The image is larger than 4 megapixels"})
    if "mask" in body and _size(body["mask"]) != _size(body["image"]):
        raise RefusalError(400, {"detail": "The mask has other dimensions than the image"})
    if model == "flux-pro-1.0-fill" and "mask" not in body and not _transparent(body["image"]):
        raise RefusalError(400, {"detail": "No mask"})
    if model == "flux-pro-1.0-expand" and not any(body.get(side) for side in ("top", "bottom", "left", "right")):
        raise RefusalError(400, {"detail": "At least one side must be expanded"})
    return body


def _refused(wrong: list[dict[str, Any]]) -> RefusalError:
    return RefusalError(422, {"detail": wrong})


def opened(encoded: str) -> Image.Image:
    """Read an image as the vendor does."""
    return Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))


def _size(encoded: str) -> tuple[int, int]:
    return opened(encoded).size


def _transparent(encoded: str) -> bool:
    return opened(encoded).has_transparency_data


@asynccontextmanager
async def fake_bfl() -> AsyncIterator[FakeBFL]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeBFL()) as fake:
        yield fake

"""Fakes of the servers that `openai-compatible` knows by name, each on a loopback port.

Each is as strict as its own source or its vendor's pages say, and stricter where those only ignore what they do not
know: fields, their types, images and masks, the form of an error. The official packages `openai` and `together` are
held against them in tests/providers/openai_compatible.
"""

import base64
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from PIL import Image, UnidentifiedImageError

from .openai_wire import picture
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

KEY = "compatible-test-key-0123456789"
MODEL = "acme/painter-1"
CREDITS = 40
"""What Recraft takes for an image."""

_SIZE = re.compile(r"[1-9]\d{1,4}x[1-9]\d{1,4}")
_RATIO = re.compile(r"\d{1,2}:\d{1,2}")
_TAG = re.compile(r"<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>")
_MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _one_of(*values: str) -> Check:
    return lambda value: value in values


def _pixels(value: Any) -> bool:
    return isinstance(value, str) and bool(_SIZE.fullmatch(value))


def _pixels_or_ratio(value: Any) -> bool:
    return isinstance(value, str) and bool(_SIZE.fullmatch(value) or _RATIO.fullmatch(value))


def _data_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("data:image/") and _is_image(value.partition(",")[2])


def _plain_base64(value: Any) -> bool:
    return isinstance(value, str) and _is_image(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and bool(value) and all(map(check, value))


def _is_image(encoded: str) -> bool:
    try:
        return _opened(base64.b64decode(encoded, validate=True)).format in _MEDIA
    except (ValueError, UnidentifiedImageError):
        return False


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@dataclass(frozen=True)
class Place:
    """What one address takes: fields with their checks, and the files of a form. Of `one_of` one must be there."""

    fields: Mapping[str, Check]
    files: Mapping[str, int] = field(default_factory=dict)
    """How many of each name there may be; () = it takes JSON."""
    needs: tuple[str, ...] = ("prompt", "model")
    one_of: tuple[str, ...] = ()
    mask: str = ""
    """The file that is a mask, white where the server edits; "" = none."""
    transparent: bool = False
    """The mask is transparent there."""
    most: int = 10
    """Images of one request, whatever `n` says."""


@dataclass(frozen=True)
class Server:
    """One server: where it is, and what it takes and says."""

    prefix: str
    places: Mapping[str, Place]
    form: str
    """Of its errors: "openai", "bare" ({code, message}), "detail" (FastAPI's) or "text" ({"error": text})."""
    kind: str = "png"
    needs_key: bool = False
    models: Any = None
    """What GET /models answers; None = there is none."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What stands beside `data`."""


_SHARED: Mapping[str, Check] = {"prompt": _text, "model": _text, "n": _whole(1, 10)}
_B64: Mapping[str, Check] = {"response_format": _one_of("b64_json")}
_SEEDED: Mapping[str, Check] = {"seed": _whole(0, 2**63), "negative_prompt": _text}
_STEPS: Mapping[str, Check] = {"num_inference_steps": _whole(1, 200), "guidance_scale": _number}
_FORMATS: Mapping[str, Check] = {"output_format": _one_of("png", "jpeg", "webp")}
_RECRAFT: Mapping[str, Check] = {
    **_SHARED,
    "n": _whole(1, 6),
    "negative_prompt": _text,
    "random_seed": _whole(0, 2**32),
    "style": _text,
    "response_format": _one_of("url", "b64_json"),
}
_SGLANG: Mapping[str, Check] = {
    **_SHARED,
    **_B64,
    **_SEEDED,
    **_STEPS,
    **_FORMATS,
    "size": _pixels,
    "background": _text,
    "output_compression": _whole(0, 100),
}
_VLLM: Mapping[str, Check] = {**_SHARED, **_B64, **_SEEDED, **_STEPS, **_FORMATS, "size": _pixels}
_SD: Mapping[str, Check] = {**_SHARED, **_FORMATS, "size": _pixels, "output_compression": _whole(0, 100)}
_LISTED = {"object": "list", "data": [{"id": MODEL, "object": "model"}, {"id": "acme/painter-2", "object": "model"}]}

SERVERS: Mapping[str, Server] = {
    "together": Server(
        "/v1",
        {
            "/images/generations": Place(
                {
                    **_SHARED,
                    **_SEEDED,
                    "n": _whole(1, 4),
                    "width": _whole(64, 2048),
                    "height": _whole(64, 2048),
                    "steps": _whole(1, 50),
                    "guidance_scale": _number,
                    "response_format": _one_of("base64", "url"),
                    "output_format": _one_of("jpeg", "png"),
                    "image_url": _data_url,
                    "reference_images": _list_of(_data_url),
                    "disable_safety_checker": lambda value: isinstance(value, bool),
                },
                most=4,
            )
        },
        "openai",
        "jpeg",
        needs_key=True,
        models=[{"id": MODEL, "type": "image"}, {"id": "acme/talker", "type": "chat"}],
        extra={"id": "oHpD53L-2kFHot", "model": MODEL, "object": "list"},
    ),
    "recraft": Server(
        "/v1",
        {
            "/images/generations": Place({**_RECRAFT, "size": _pixels_or_ratio, "controls": lambda _: True}, most=6),
            "/images/imageToImage": Place(
                {**_RECRAFT, "strength": _number}, {"image": 1}, needs=("prompt", "strength"), most=6
            ),
            "/images/inpaint": Place(_RECRAFT, {"image": 1, "mask": 1}, needs=("prompt",), mask="mask", most=6),
        },
        "bare",
        "webp",
        needs_key=True,
    ),
    "deepinfra": Server(
        "/v1/openai",
        {
            "/images/generations": Place({**_SHARED, **_B64, "size": _pixels}),
            "/images/edits": Place(
                {**_SHARED, **_B64, "size": _pixels},
                {"image": 1, "image[]": 16, "mask": 1},
                one_of=("image", "image[]"),
                mask="mask",
                transparent=True,
            ),
        },
        "openai",
        "jpeg",
        needs_key=True,
    ),
    "localai": Server(
        "/v1",
        {
            "/images/generations": Place(
                {
                    **_SHARED,
                    **_B64,
                    "size": _pixels,
                    "seed": _whole(0, 2**63),
                    "step": _whole(1, 200),
                    "file": _plain_base64,
                    "ref_images": _list_of(_plain_base64),
                }
            ),
            "/images/inpainting": Place(
                {"prompt": _text, "model": _text, "steps": _whole(1, 200), **_B64},
                {"image": 1, "mask": 1},
                mask="mask",
                most=1,
            ),
        },
        "openai",
        models=_LISTED,
        extra={"id": "4c1b7f0a"},
    ),
    "sglang": Server(
        "/v1",
        {
            "/images/generations": Place(_SGLANG),
            "/images/edits": Place(_SGLANG, {"image": 16, "image[]": 16}, one_of=("image", "image[]")),
        },
        "detail",
        models=_LISTED,
        extra={"id": "3f2a", "inference_time_s": 1.5, "peak_memory_mb": 20480.0},
    ),
    "vllm-omni": Server(
        "/v1",
        {
            "/images/generations": Place(_VLLM),
            "/images/edits": Place(
                _VLLM, {"image": 16, "image[]": 16, "mask_image": 1}, one_of=("image", "image[]"), mask="mask_image"
            ),
        },
        "detail",
        models=_LISTED,
        extra={"output_format": "png", "size": "1024x1024"},
    ),
    "sd-server": Server(
        "/v1",
        {
            "/images/generations": Place(_SD),
            "/images/edits": Place(_SD, {"image[]": 16, "mask": 1}, one_of=("image[]",), mask="mask", most=8),
        },
        "text",
        models={"data": [{"id": "sd-cpp-local", "object": "model", "owned_by": "local"}]},
        extra={"output_format": "png"},
    ),
}
"""By the value of `dialect`."""


class FakeServer(FakeVendor):
    """One of them on a loopback port."""

    def __init__(self, dialect: str, *, needs_key: bool = False) -> None:
        """Be the server of a dialect; one that needs no key may be set up to need one."""
        self.server = replace(SERVERS[dialect], needs_key=needs_key or SERVERS[dialect].needs_key)
        super().__init__(self.server.prefix)
        self.dialect = dialect
        self._numbers = count(1)

    def headers(self) -> dict[str, str]:
        """See FakeVendor."""
        return {"x-request-id": f"req-{next(self._numbers)}"}

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        if self.server.needs_key and call.headers.get("authorization") != f"Bearer {KEY}":
            raise self.refused(401, "Invalid API key provided.", "invalid_api_key")
        path = call.path.removeprefix(self.server.prefix)
        if (call.method, path) == ("GET", "/models") and self.server.models is not None:
            return json_answer(200, self.server.models)
        place = self.server.places.get(path)
        if place is None or call.method != "POST":
            raise self.refused(404, "Not Found")
        wanted = self._read(call, place)
        return json_answer(200, {} if checks_only else self._body(wanted, place))

    def refused(self, status: int, message: str, code: str | None = None, param: str | None = None) -> RefusalError:
        """Refuse in the server's own form."""
        match self.server.form:
            case "bare":
                return RefusalError(status, {"code": code or "invalid_request", "message": message})
            case "detail":
                where = [{"loc": ["body", param], "msg": message, "type": "value_error"}] if param else message
                return RefusalError(status, {"detail": where})
            case "text":
                return RefusalError(status, {"error": message})
            case _:
                said = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
                return RefusalError(status, {"error": said})

    def _read(self, call: RecordedRequest, place: Place) -> dict[str, Any]:
        values = self._form(call, place) if place.files else self._json(call)
        self._read_prompt(values)
        for name in sorted(values):
            if name not in place.fields:
                raise self.refused(400, f"Unknown field: {name}", "unknown_parameter", name)
            if not place.fields[name](values[name]):
                raise self.refused(400, f"Invalid value of {name}.", "invalid_value", name)
        for name in place.needs:
            if name not in values:
                raise self.refused(400, f"{name} required", "missing", name)
        if values.get("model", MODEL) not in (MODEL, "acme/painter-2", "recraftv3", "recraftv4", "sd-cpp-local"):
            raise self.refused(404, f"The model {values['model']} does not exist.", "model_not_found", "model")
        return values

    def _json(self, call: RecordedRequest) -> dict[str, Any]:
        if call.media_type != "application/json":
            raise self.refused(415, "Content-Type must be application/json")
        body: dict[str, Any] = call.json
        return dict(body)

    def _form(self, call: RecordedRequest, place: Place) -> dict[str, Any]:
        if call.media_type != "multipart/form-data":
            raise self.refused(415, "Content-Type must be multipart/form-data")
        files = call.files
        names = [file.name for file in files]
        for name in set(names):
            if names.count(name) > place.files.get(name, 0):
                raise self.refused(400, f"Unexpected file: {name}", "unknown_parameter", name)
        required = [name for name in place.files if not place.one_of and name not in names]
        if required or (place.one_of and len(set(place.one_of) & set(names)) != 1):
            raise self.refused(422, "image required", "missing", "image")
        for file in files:
            try:
                image = _opened(file.data)
            except UnidentifiedImageError:
                raise self.refused(400, f"{file.name} is no image", "invalid_value", file.name) from None
            if _MEDIA.get(image.format or "") != file.content_type:
                raise self.refused(400, f"{file.name} is of another type", "invalid_value", file.name)
            if file.name == place.mask and image.mode != ("RGBA" if place.transparent else "L"):
                raise self.refused(400, "the mask is no mask", "invalid_value", file.name)
        texts = [(part.name, part.data.decode()) for part in call.parts if part.filename is None]
        if twice := [name for name, _ in texts if [other for other, _ in texts].count(name) > 1]:
            raise self.refused(400, f"{twice[0]} is there twice", "duplicate_parameter", twice[0])
        return {name: text if name in ("prompt", "model") else _value(text) for name, text in texts}

    def _read_prompt(self, values: dict[str, Any]) -> None:
        """Take apart what these servers take apart."""
        prompt = values.get("prompt")
        if self.dialect == "sd-server" and isinstance(prompt, str) and (found := _TAG.search(prompt)):
            settings = json.loads(found[1])
            if not isinstance(settings, dict) or settings.keys() & values.keys():
                raise self.refused(400, "invalid sd_cpp_extra_args")
            values["prompt"] = _TAG.sub("", prompt)
        if self.dialect == "localai" and isinstance(prompt, str) and prompt.count("|") > 1:
            raise self.refused(400, "more than two prompts", "invalid_value", "prompt")

    def _body(self, wanted: Mapping[str, Any], place: Place) -> dict[str, Any]:
        kind = str(wanted.get("output_format", self.server.kind))
        number = min(int(wanted.get("n", 1)), place.most)
        drawn = [base64.b64encode(picture((16, 16), kind, shade)).decode() for shade in range(number)]
        if str(wanted.get("model", "")).endswith("_vector"):
            drawn = [base64.b64encode(picture((16, 16), "svg")).decode()] * number
        data: list[dict[str, Any]] = [{"b64_json": encoded} for encoded in drawn]
        if place.most == 1 and self.dialect == "localai":
            # It keeps the picture, and tells where.
            data = [{"url": f"{self.base_url.removesuffix(self.prefix)}/generated-images/1.png"}]
        if self.dialect == "together":
            data = [item | {"index": index, "type": "b64_json"} for index, item in enumerate(data)]
        if self.dialect == "recraft":
            data = [item | {"image_id": f"id-{index}"} for index, item in enumerate(data)]
            return {"created": 1, "credits": CREDITS * number, "data": data}
        return {"created": 1_790_000_000, "data": data, **self.server.extra}


def _value(text: str) -> Any:
    """Read the text of a form as JSON would have it."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


@asynccontextmanager
async def fake_server(dialect: str, *, needs_key: bool = False) -> AsyncIterator[FakeServer]:
    """Run the fake of a dialect until the block ends. Calls that hang then are cut off."""
    async with running(FakeServer(dialect, needs_key=needs_key)) as fake:
        yield fake

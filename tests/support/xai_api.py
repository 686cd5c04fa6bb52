"""A fake of xAI's REST API on a loopback port.

As strict as docs.x.ai/developers/rest-api-reference/inference/images says; its refusals have the words that users of
the real one reported. The official `openai` package, which the vendor documents for drawing, is held against it in
tests/providers/xai.
"""

import base64
import io
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from PIL import Image

from .openai_wire import picture
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

KEY = "xai-test-key-0123456789"
MODELS = ("grok-imagine-image", "grok-imagine-image-2.0", "grok-imagine-image-quality")
LISTED = ("grok-imagine-image", "grok-imagine-image-2.0", "grok-imagine-image-of-tomorrow")
TICKS = 200_000_000
"""What an image costs here: 0.02 USD."""

_RATIOS = frozenset(
    "1:1 3:4 4:3 9:16 16:9 2:3 3:2 9:19.5 19.5:9 9:20 20:9 1:2 2:1 21:9 5:2 auto".split()  # noqa: SIM905 - to be read
)
_ENUMS: Mapping[str, frozenset[str]] = {
    "aspect_ratio": _RATIOS,
    "resolution": frozenset(["1k", "1.5k", "2k"]),
    "quality": frozenset(["auto", "low", "medium", "high"]),
    "response_format": frozenset(["url", "b64_json"]),
}
_SHARED = frozenset(["model", "prompt", "n", "user", "storage_options", *_ENUMS])
_PATHS = {"/v1/images/generations": _SHARED, "/v1/images/edits": _SHARED | {"image", "images"}}
_DATA_URL = re.compile(r"data:image/(png|jpeg|webp);base64,(.+)")
_IMAGES = "https://imgen.x.ai/xai-imgen"
_MOST_IMAGES = 5
_MOST_IMAGE_BYTES = 10 * 1024 * 1024


def refused(status: int, message: str, code: str = "Client specified an invalid argument") -> RefusalError:
    """Refuse as the vendor does: with a string under `error`."""
    return RefusalError(status, {"code": code, "error": message})


class _PlainRefusalError(Exception):
    """What the vendor's web framework says, as text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer = Answer(status, {"content-type": "text/plain; charset=utf-8"}, [text.encode()])


class FakeXAI(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say."""

    def __init__(self) -> None:
        """Know one key."""
        super().__init__("/v1")
        self._numbers = count(1)

    def headers(self) -> dict[str, str]:
        """See FakeVendor."""
        return {"x-request-id": f"req-{next(self._numbers)}"}

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        self._check_key(call)
        if (call.method, call.path) == ("GET", "/v1/image-generation-models"):
            return json_answer(200, models_body())
        known = _PATHS.get(call.path)
        if known is None or call.method != "POST":
            return Answer(404)
        try:
            body = _read(call, known)
        except _PlainRefusalError as refusal:
            return refusal.answer
        return json_answer(200, {} if checks_only else images_body(body))

    def _check_key(self, call: RecordedRequest) -> None:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            message = "You didn't provide an API key in the Authorization header."
            raise refused(401, message, "unauthenticated:no-credentials")
        if key != KEY:
            shown = f"{key[:2]}***{key[-2:]}"
            message = f"Incorrect API key provided: {shown}. You can obtain an API key from https://console.x.ai."
            raise refused(400, message)


def _read(call: RecordedRequest, known: frozenset[str]) -> dict[str, Any]:
    if call.media_type != "application/json":
        raise _PlainRefusalError(415, "Expected request with `Content-Type: application/json`")
    body: dict[str, Any] = call.json
    misfit = "Failed to deserialize the JSON body into the target type"
    for name in sorted(body.keys() - known):
        raise _PlainRefusalError(422, f"{misfit}: {name}: unknown field `{name}` at line 1 column 2")
    for name, values in _ENUMS.items():
        if name in body and body[name] not in values:
            wanted = ", ".join(f"`{value}`" for value in sorted(values))
            message = f"{misfit}: {name}: unknown variant `{body[name]}`, expected one of {wanted} at line 1 column 2"
            raise _PlainRefusalError(422, message)
    if not isinstance(body.get("prompt"), str):
        raise _PlainRefusalError(422, f"{misfit}: missing field `prompt` at line 1 column 2")
    if body.get("model") not in MODELS:
        team = "00000000-0000-0000-0000-000000000000"
        message = f"The model {body.get('model')} does not exist or your team {team} does not have access to it."
        raise refused(404, message, "Some requested entity was not found")
    if type(body.get("n", 1)) is not int or not 1 <= body.get("n", 1) <= 10:
        raise refused(400, "n must be between 1 and 10")
    if call.path.endswith("/edits"):
        _check_images(body)
    return body


def _check_images(body: dict[str, Any]) -> None:
    if ("image" in body) == ("images" in body):
        raise refused(400, "Exactly one of image and images must be given.")
    images = [body["image"]] if "image" in body else body["images"]
    if not 1 <= len(images) <= _MOST_IMAGES:
        raise refused(400, f"At most {_MOST_IMAGES} images are supported.")
    if "image" in body and "aspect_ratio" in body:
        raise refused(400, "aspect_ratio is not supported for editing a single image.")
    for image in images:
        found = _DATA_URL.fullmatch(image.get("url", ""))
        if image.keys() != {"url", "type"} or image["type"] != "image_url" or not found:
            raise refused(400, "Unsupported image.")
        data = base64.b64decode(found[2], validate=True)
        if len(data) > _MOST_IMAGE_BYTES or Image.open(io.BytesIO(data)).format != found[1].upper():
            raise refused(400, "Unsupported image.")


def images_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a request with JPEG, in the answer itself or at a URL."""
    wanted = body.get("n", 1)
    return {
        "data": [
            (
                {"b64_json": drawn(shade)}
                if body.get("response_format") == "b64_json"
                else {"url": f"{_IMAGES}/{shade}.jpg"}
            )
            | {"mime_type": "image/jpeg", "revised_prompt": "", "respect_moderation": True}
            for shade in range(wanted)
        ],
        "model": body["model"],
        "usage": {"cost_in_usd_ticks": TICKS * wanted},
    }


def drawn(shade: int = 0) -> str:
    """Draw a small JPEG of one shade (0 to 255) as base64."""
    return base64.b64encode(picture((16, 16), "jpeg", shade)).decode()


def models_body() -> dict[str, Any]:
    """List image models as the vendor does."""
    return {
        "models": [
            {
                "id": name,
                "fingerprint": "fp_0123456789",
                "max_prompt_length": 8000,
                "created": 1_790_000_000,
                "object": "model",
                "owned_by": "xai",
                "version": "1.0.0",
                "input_modalities": ["text", "image"],
                "output_modalities": ["image"],
                "image_price": 2,
                "aliases": [],
            }
            for name in LISTED
        ]
    }


@asynccontextmanager
async def fake_xai() -> AsyncIterator[FakeXAI]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeXAI()) as fake:
        yield fake

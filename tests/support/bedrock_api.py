"""A fake of Amazon Bedrock on a loopback port: InvokeModel for Stability AI's models, and the two lists.

As strict as the pages of the user guide on these models say; its refusals have the words that users of the real one
reported. It checks signatures by itself, as "Create a signed AWS API request" of the IAM user guide describes it. The
official package `boto3` is held against it in tests/providers/bedrock. Both planes of the vendor are at one address.
"""

import base64
import hashlib
import hmac
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import quote, unquote

from PIL import Image

from .openai_wire import picture
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

KEY = "ABSKtest-key-0123456789"
REGION = "us-west-2"
ACCESS_KEY, SECRET_KEY, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "session//token=="
ERROR_TYPES = "http://internal.amazon.com/coral/com.amazon.bedrock/"
"""What stands behind the type of an error in its header."""

_RATIOS = frozenset("16:9 1:1 21:9 2:3 3:2 4:5 5:4 9:16 9:21".split())  # noqa: SIM905 - to be read
_STYLES = frozenset(["3d-model", "analog-film", "anime", "cinematic", "enhance", "photographic", "pixel-art"])
_MOST_SEED = 4_294_967_294

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 10_000


def _one_of(*values: str) -> Check:
    return lambda value: value in values


def _number(least: float, most: float) -> Check:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _picture(least_side: int = 64, most_pixels: int = 9_437_184, ratio: float = 2.5) -> Check:
    def check(value: Any) -> bool:
        image = Image.open(io.BytesIO(base64.b64decode(value, validate=True)))
        short, long = sorted(image.size)
        taken = image.format in {"PNG", "JPEG", "WEBP"}
        return taken and short >= least_side and short * long <= most_pixels and long <= short * ratio

    return check


def _mask(value: Any) -> bool:
    """Black and white: no channel but one, so that nothing is read from transparency."""
    return Image.open(io.BytesIO(base64.b64decode(value, validate=True))).mode == "L"


_SEED = {"seed": _whole(0, _MOST_SEED)}
_FORMAT = {"output_format": _one_of("jpeg", "png", "webp")}
_NEGATIVE = {"negative_prompt": _text}
_RATIO = {"aspect_ratio": _one_of(*_RATIOS)}
_STYLE = {"style_preset": _one_of(*_STYLES)}
_SHARED: dict[str, Check] = _SEED | _FORMAT | _NEGATIVE
_IMAGE = {"image": _picture()}
_GROW = {"grow_mask": _whole(0, 20)}
_PROMPT: dict[str, Check] = {"prompt": _text}
_TWO_FORMATS = {"output_format": _one_of("jpeg", "png")}
_CONTROL = {"control_strength": _number(0, 1)}
_CREATIVE = {"creativity": _number(0.1, 0.5)}
_SIDES = {side: _whole(0, 2000) for side in ("left", "right", "up", "down")}
_ANY_IMAGE = {"image": _picture(1, 10**9, 10**9)}
_STRENGTH = {"strength": _number(0, 1)}
_TWO_IMAGES = {"init_image": _picture(), "style_image": _picture()}
_TRANSFER = {
    "composition_fidelity": _number(0, 1),
    "style_strength": _number(0, 1),
    "change_strength": _number(0.1, 1),
}
_MODE = {"mode": _one_of("text-to-image", "image-to-image")}

MODELS: Mapping[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "stability.stable-image-core-v1:1": (_PROMPT, _SHARED | _RATIO | _TWO_FORMATS),
    "stability.stable-image-ultra-v1:1": (
        _PROMPT,
        _SHARED | _RATIO | _TWO_FORMATS | _ANY_IMAGE | _STRENGTH | {"mode": _one_of("text-to-image")},
    ),
    "stability.sd3-5-large-v1:0": (
        _PROMPT,
        _SHARED | _RATIO | {"image": _picture(64, 10**9, 10**9)} | _STRENGTH | _MODE,
    ),
    "us.stability.stable-image-inpaint-v1:0": (_PROMPT | _IMAGE, _SHARED | _STYLE | _GROW | {"mask": _mask}),
    "us.stability.stable-outpaint-v1:0": (
        _IMAGE,
        _SEED | _FORMAT | _STYLE | _PROMPT | _SIDES | {"creativity": _number(0.1, 1)},
    ),
    "us.stability.stable-image-erase-object-v1:0": (_IMAGE, _SEED | _FORMAT | _GROW | {"mask": _mask}),
    "us.stability.stable-image-search-replace-v1:0": (
        _PROMPT | _IMAGE | {"search_prompt": _text},
        _SHARED | _STYLE | _GROW,
    ),
    "us.stability.stable-image-search-recolor-v1:0": (
        _PROMPT | _IMAGE | {"select_prompt": _text},
        _SHARED | _STYLE | _GROW,
    ),
    "us.stability.stable-image-remove-background-v1:0": (_IMAGE, _FORMAT),
    "us.stability.stable-image-control-sketch-v1:0": (_PROMPT | _IMAGE, _SHARED | _STYLE | _CONTROL),
    "us.stability.stable-image-control-structure-v1:0": (_PROMPT | _IMAGE, _SHARED | _STYLE | _CONTROL),
    "us.stability.stable-image-style-guide-v1:0": (
        _PROMPT | _IMAGE,
        _SHARED | _STYLE | _RATIO | {"fidelity": _number(0, 1)},
    ),
    "us.stability.stable-style-transfer-v1:0": (_TWO_IMAGES, _SHARED | _PROMPT | _TRANSFER),
    "us.stability.stable-fast-upscale-v1:0": ({"image": _picture(32, 1_048_576, 10**9)}, _FORMAT),
    "us.stability.stable-conservative-upscale-v1:0": (_PROMPT | _IMAGE, _SHARED | _CREATIVE),
    "us.stability.stable-creative-upscale-v1:0": (
        _PROMPT | {"image": _picture(64, 1_048_576, 10**9)},
        _SHARED | _STYLE | _CREATIVE,
    ),
}
"""The fields that a model wants, and those that it takes besides."""

ENDED = ("amazon.nova-canvas-v1:0", "amazon.titan-image-generator-v2:0")


def refused(status: int, kind: str, message: str) -> RefusalError:
    """Refuse as the vendor does. The type stands in a header, too: see `BedrockRefusalError`."""
    return BedrockRefusalError(status, kind, {"message": message})


class BedrockRefusalError(RefusalError):
    """A refusal with the header that names its type."""

    def __init__(self, status: int, kind: str, body: object) -> None:
        """Take the answer."""
        super().__init__(status, body)
        self.answer = json_answer(status, body, {"x-amzn-errortype": f"{kind}:{ERROR_TYPES}"})


class FakeBedrock(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say."""

    def __init__(self) -> None:
        """Know one key, and one pair of AWS credentials with or without a session."""
        super().__init__()
        self._numbers = count(1)

    def headers(self) -> dict[str, str]:
        """See FakeVendor."""
        return {"x-amzn-requestid": f"00000000-0000-0000-0000-{next(self._numbers):012}"}

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        try:
            _check_access(call)
            if call.method == "GET":
                return _listed(call)
            body = _read(call)
        except BedrockRefusalError as refusal:
            return refusal.answer
        return json_answer(200, {} if checks_only else drawn_body(body))


def _check_access(call: RecordedRequest) -> None:
    told = call.headers.get("authorization", "")
    scheme, _, rest = told.partition(" ")
    if scheme == "Bearer":
        if rest != KEY:
            message = "Authentication failed: Please make sure your API Key is valid."
            raise BedrockRefusalError(403, "AccessDeniedException", {"Message": message})
    elif scheme == "AWS4-HMAC-SHA256":
        _check_signature(call, rest)
    else:
        raise refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")


def _check_signature(call: RecordedRequest, told: str) -> None:
    """Work the signature out anew, from what came over the wire."""
    said = dict(part.strip().partition("=")[::2] for part in told.split(","))
    access_key, day, region, service, end = said["Credential"].split("/")
    token = call.headers.get("x-amz-security-token")
    if access_key != ACCESS_KEY or token not in {None, TOKEN}:
        message = "The security token included in the request is invalid."
        raise refused(403, "UnrecognizedClientException", message)
    names = said["SignedHeaders"].split(";")
    must = {name.lower() for name in call.headers if name.lower() == "host" or name.lower().startswith("x-amz")}
    if (region, service, end) != (REGION, "bedrock", "aws4_request") or not must <= set(names):
        raise refused(403, "InvalidSignatureException", "Credential should be scoped to a valid region.")
    canonical = "\n".join(
        [
            call.method,
            quote(call.path, safe="/-._~"),
            "&".join(sorted(call.query.split("&"))) if call.query else "",
            *(f"{name}:{' '.join(call.headers[name].split())}" for name in names),
            "",
            said["SignedHeaders"],
            hashlib.sha256(call.body).hexdigest(),
        ]
    )
    stamp = call.headers["x-amz-date"]
    scope = f"{day}/{region}/{service}/{end}"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET_KEY}".encode()
    for step in (day, region, service, end):
        key = hmac.digest(key, step.encode(), "sha256")
    if said["Signature"] != hmac.digest(key, text.encode(), "sha256").hex() or not stamp.startswith(day):
        message = (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
            f" Access Key and signing method. The Canonical String for this request should have been '{canonical}'"
        )
        raise refused(403, "InvalidSignatureException", message)


def _read(call: RecordedRequest) -> dict[str, Any]:
    found = re.fullmatch(r"/model/([A-Za-z0-9._~%-]+)/invoke", call.path)
    if call.method != "POST" or found is None:
        body = {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}
        raise BedrockRefusalError(404, "UnknownOperationException", body)
    model = unquote(found[1]).rpartition("/")[2]
    if model in ENDED:
        message = "This model version has reached the end of its life."
        message += " Please refer to the AWS documentation for more details."
        raise refused(404, "ResourceNotFoundException", message)
    if f"us.{model}" in MODELS:
        message = f"Invocation of model ID {model} with on-demand throughput isn\u2019t supported."
        message += " Retry your request with the ID or ARN of an inference profile that contains this model."
        raise refused(400, "ValidationException", message)
    if model not in MODELS:
        raise refused(400, "ValidationException", "The provided model identifier is invalid.")
    if call.media_type != "application/json":
        raise refused(400, "ValidationException", "The provided content type is invalid.")
    body = call.json
    _check_body(model, body)
    return dict(body)


def _check_body(model: str, body: dict[str, Any]) -> None:
    wanted, taken = MODELS[model]
    fields = wanted | taken
    for name in body.keys() - fields.keys():
        detail = f"Invalid field '{name}' in request. Available fields for {model} are: {', '.join(fields)}"
        raise refused(400, "ValidationException", json.dumps({"detail": detail}))
    for name in wanted.keys() - body.keys():
        message = (
            f"Malformed input request: #: required key [{name}] not found, please reformat your input and try again."
        )
        raise refused(400, "ValidationException", message)
    for name, value in body.items():
        if not fields[name](value):
            message = f"Malformed input request: #/{name}: is not valid, please reformat your input and try again."
            raise refused(400, "ValidationException", message)
    missing = ""
    if model.endswith("outpaint-v1:0") and not any(body.get(side) for side in _SIDES):
        missing = "left"
    if body.get("mode") == "image-to-image" and not {"image", "strength"} <= body.keys():
        missing = "strength"
    if "image" in body and "sd3-5" in model and body.get("mode") != "image-to-image":
        missing = "mode"
    if "aspect_ratio" in body and "image" in body and "style-guide" not in model:
        raise refused(400, "ValidationException", json.dumps({"detail": "Invalid field 'aspect_ratio' in request."}))
    if missing:
        message = (
            f"Malformed input request: #: required key [{missing}] not found, please reformat your input and try again."
        )
        raise refused(400, "ValidationException", message)


def drawn_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer with a picture in the format that was asked for, and the seed that was used."""
    seed = body.get("seed") or 2_130_420_379
    data = picture((16, 16), body.get("output_format", "png"), seed % 256)
    return {"seeds": [seed], "finish_reasons": [None], "images": [base64.b64encode(data).decode()]}


def _listed(call: RecordedRequest) -> Answer:
    if call.path == "/foundation-models" and call.query == "byOutputModality=IMAGE":
        return json_answer(200, models_body())
    if call.path == "/inference-profiles":
        return json_answer(200, profiles_body())
    raise BedrockRefusalError(404, "UnknownOperationException", {})


def _arn(model: str, region: str = REGION) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"


def models_body() -> dict[str, Any]:
    """List the models that make images, as the vendor does; one of them ends."""
    return {
        "modelSummaries": [
            {
                "modelArn": _arn(name),
                "modelId": name,
                "modelName": name.partition(".")[2].partition("-v")[0].title(),
                "providerName": "Stability AI" if name.startswith("stability") else "Someone",
                "inputModalities": ["TEXT", "IMAGE"],
                "outputModalities": ["IMAGE"],
                "responseStreamingSupported": False,
                "customizationsSupported": [],
                "inferenceTypesSupported": ["INFERENCE_PROFILE" if profile else "ON_DEMAND"],
                "modelLifecycle": (
                    {"status": "LEGACY", "endOfLifeTime": "2030-01-31T00:00:00+00:00"}
                    if "core" in name
                    else {"status": "ACTIVE"}
                ),
            }
            for profile, name in [
                *((model.startswith("us."), model.removeprefix("us.")) for model in MODELS),
                (False, "someone.paint-v1:0"),
            ]
        ]
    }


def profiles_body() -> dict[str, Any]:
    """List the inference profiles, one of a model that makes no images among them."""
    return {
        "inferenceProfileSummaries": [
            {
                "inferenceProfileName": f"US {name}",
                "inferenceProfileArn": f"arn:aws:bedrock:{REGION}:123456789012:inference-profile/us.{name}",
                "models": [{"modelArn": _arn(name, region)} for region in ("us-east-1", REGION)],
                "inferenceProfileId": f"us.{name}",
                "status": "ACTIVE",
                "type": "SYSTEM_DEFINED",
            }
            for name in [*(model[3:] for model in MODELS if model.startswith("us.")), "someone.words-v1:0"]
        ]
    }


@asynccontextmanager
async def fake_bedrock() -> AsyncIterator[FakeBedrock]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeBedrock()) as fake:
        yield fake

"""The fake Bedrock as the vendor's own package `boto3` sees it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.bedrock_api import ENDED, KEY, MODELS
from tests.support.bedrock_package import Ask, package_on_fake
from tests.support.pictures import encoded, png
from tests.support.tools import require_package

CORE, ULTRA, SD35 = list(MODELS)[:3]
PICTURE = base64.b64encode(png(64, 64, shade=9)).decode()
WIDE = base64.b64encode(png(320, 64)).decode()
GIF = base64.b64encode(encoded(Image.new("P", (64, 64)), "GIF")).decode()
WISHES: dict[str, dict[str, Any]] = {
    CORE: {"prompt": "a boat", "aspect_ratio": "16:9", "seed": 7, "output_format": "jpeg", "negative_prompt": "rain"},
    ULTRA: {"prompt": "a boat", "image": PICTURE, "strength": 0.4},
    SD35: {"prompt": "a boat", "image": PICTURE, "strength": 0.4, "mode": "image-to-image", "output_format": "webp"},
    "us.stability.stable-image-inpaint-v1:0": {"prompt": "a boat", "image": PICTURE, "mask": PICTURE, "grow_mask": 5},
    "us.stability.stable-outpaint-v1:0": {"image": PICTURE, "left": 512, "up": 200, "creativity": 0.5},
    "us.stability.stable-image-erase-object-v1:0": {"image": PICTURE, "mask": PICTURE},
    "us.stability.stable-image-search-replace-v1:0": {"prompt": "jacket", "image": PICTURE, "search_prompt": "sweater"},
    "us.stability.stable-image-search-recolor-v1:0": {"prompt": "pink", "image": PICTURE, "select_prompt": "jacket"},
    "us.stability.stable-image-remove-background-v1:0": {"image": PICTURE},
    "us.stability.stable-image-control-sketch-v1:0": {"prompt": "a house", "image": PICTURE, "control_strength": 0.7},
    "us.stability.stable-image-control-structure-v1:0": {
        "prompt": "a house",
        "image": PICTURE,
        "style_preset": "anime",
    },
    "us.stability.stable-image-style-guide-v1:0": {"prompt": "a city", "image": PICTURE, "aspect_ratio": "21:9"},
    "us.stability.stable-style-transfer-v1:0": {"init_image": PICTURE, "style_image": PICTURE, "change_strength": 0.9},
    "us.stability.stable-fast-upscale-v1:0": {"image": PICTURE},
    "us.stability.stable-conservative-upscale-v1:0": {"prompt": "a tower", "image": PICTURE, "creativity": 0.3},
    "us.stability.stable-creative-upscale-v1:0": {"prompt": "a tower", "image": PICTURE, "style_preset": "enhance"},
}


async def invoked(ask: Ask, model: str, body: dict[str, Any]) -> dict[str, Any]:
    """Run a model, and read what it answers."""
    answer = await ask("invoke_model", {"modelId": model, "body": json.dumps(body), "contentType": "application/json"})
    content: dict[str, Any] = json.loads(answer["body"].read())
    return content


async def refusal(ask: Ask, model: str, body: dict[str, Any]) -> tuple[int, str, str]:
    """Run a model that does not do it: status, type and words."""
    errors = require_package("botocore.exceptions")
    with pytest.raises(errors.ClientError) as caught:
        await invoked(ask, model, body)
    told = caught.value.response
    return told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"], told["Error"]["Message"]


async def test_every_model_answers_a_picture(tmp_path: Path) -> None:
    """For the body that the user guide shows, with a signature that is worked out anew."""
    async with package_on_fake(tmp_path) as (fake, ask):
        answers = {model: await invoked(ask, model, body) for model, body in WISHES.items()}

    assert set(WISHES) == set(MODELS)
    for answer in answers.values():
        assert answer["finish_reasons"] == [None]
        assert Image.open(io.BytesIO(base64.b64decode(answer["images"][0]))).size == (16, 16)
    assert answers[CORE]["seeds"] == [7]
    assert fake.requests[0].headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
    assert fake.requests[0].path == "/model/stability.stable-image-core-v1%3A1/invoke"


@pytest.mark.parametrize("token", ["", "session//token=="], ids=["user", "role"])
async def test_a_signature_is_right(tmp_path: Path, token: str) -> None:
    """Of credentials with a session, and of those without."""
    async with package_on_fake(tmp_path, token=token) as (fake, ask):
        await invoked(ask, CORE, WISHES[CORE])

    assert fake.requests[0].headers.get("x-amz-security-token", "") == token


async def test_a_key_is_right(tmp_path: Path) -> None:
    """It goes as a bearer token, by TLS."""
    async with package_on_fake(tmp_path, bearer=KEY) as (fake, ask):
        await invoked(ask, CORE, WISHES[CORE])

    assert fake.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_who_asks_is_looked_at(tmp_path: Path) -> None:
    """A wrong secret, a session that is not known, a wrong key."""
    async with package_on_fake(tmp_path, secret="wrong") as (_, ask):
        assert (await refusal(ask, CORE, WISHES[CORE]))[:2] == (403, "InvalidSignatureException")
    async with package_on_fake(tmp_path, token="wrong") as (_, ask):
        assert (await refusal(ask, CORE, WISHES[CORE]))[:2] == (403, "UnrecognizedClientException")
    async with package_on_fake(tmp_path, bearer="wrong") as (_, ask):
        assert (await refusal(ask, CORE, WISHES[CORE]))[:2] == (403, "AccessDeniedException")


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (CORE, {"prompt": None}),
        (CORE, {"image": PICTURE}),
        (CORE, {"steps": 30}),
        (CORE, {"aspect_ratio": "4:3"}),
        (CORE, {"output_format": "webp"}),
        (CORE, {"seed": 2**32}),
        (CORE, {"seed": "7"}),
        (CORE, {"prompt": "x" * 10_001}),
        (ULTRA, {"mode": "image-to-image"}),
        (ULTRA, {"aspect_ratio": "1:1"}),
        (SD35, {"strength": None}),
        (SD35, {"mode": None}),
        (SD35, {"image": GIF}),
        ("us.stability.stable-image-inpaint-v1:0", {"image": WIDE}),
        ("us.stability.stable-outpaint-v1:0", {"left": 0, "up": 0}),
        ("us.stability.stable-outpaint-v1:0", {"negative_prompt": "rain"}),
        ("us.stability.stable-image-erase-object-v1:0", {"prompt": "a boat"}),
        ("us.stability.stable-image-search-replace-v1:0", {"search_prompt": None}),
        ("us.stability.stable-image-search-recolor-v1:0", {"select_prompt": None}),
        ("us.stability.stable-style-transfer-v1:0", {"style_image": None}),
        ("us.stability.stable-fast-upscale-v1:0", {"seed": 1}),
    ],
    ids=str,
)
async def test_what_is_wrong_is_refused(tmp_path: Path, model: str, change: dict[str, Any]) -> None:
    """As a ValidationException."""
    body = {name: value for name, value in (WISHES[model] | change).items() if value is not None}
    async with package_on_fake(tmp_path) as (_, ask):
        assert (await refusal(ask, model, body))[:2] == (400, "ValidationException")


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        (ENDED[0], "ResourceNotFoundException", "end of its life"),
        ("stability.stable-image-inpaint-v1:0", "ValidationException", "inference profile"),
        ("stability.paint-v9:0", "ValidationException", "identifier is invalid"),
    ],
)
async def test_a_model_that_cannot_be_run(tmp_path: Path, model: str, kind: str, words: str) -> None:
    """An ended one, one that is run by a profile alone, one that is not."""
    async with package_on_fake(tmp_path) as (_, ask):
        _, code, told = await refusal(ask, model, {"prompt": "a boat"})

    assert code == kind
    assert words in told


@pytest.mark.parametrize("bearer", ["", KEY], ids=["signed", "key"])
async def test_the_lists(tmp_path: Path, bearer: str) -> None:
    """Of models and of inference profiles, by the vendor's other service; the package reads them as they are meant."""
    async with package_on_fake(tmp_path, bearer=bearer, service="bedrock") as (_, ask):
        models = (await ask("list_foundation_models", {"byOutputModality": "IMAGE"}))["modelSummaries"]
        profiles = (await ask("list_inference_profiles", {"maxResults": 1000}))["inferenceProfileSummaries"]

    assert {model["modelId"] for model in models} >= {CORE, ULTRA, SD35, "stability.stable-outpaint-v1:0"}
    assert models[0]["modelLifecycle"]["endOfLifeTime"].year == 2030
    assert {profile["inferenceProfileId"] for profile in profiles} >= {name for name in MODELS if name[:3] == "us."}

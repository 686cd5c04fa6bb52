"""What the fake OpenAI refuses, as the official package hears it."""

from typing import Any

import pytest

from tests.support.openai_package import package_on_fake
from tests.support.openai_wire import picture
from tests.support.pictures import png
from tests.support.tools import require_package
from tests.support.vendor import Answer, json_answer

WISH = {"model": "gpt-image-2", "prompt": "a grey square"}
MASK = ("mask.png", picture((8, 8), "png", transparent=True), "image/png")
IMAGE = ("a.png", png(), "image/png")


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({"response_format": "b64_json"}, 400, "unknown_parameter", "response_format"),
        ({"style": "vivid"}, 400, "unknown_parameter", "style"),
        ({"extra_body": {"seed": 1}}, 400, "unknown_parameter", "seed"),
        ({"model": "dall-e-2"}, 404, "model_not_found", "model"),
        ({"model": "dall-e-3"}, 404, "model_not_found", "model"),
        ({"model": "gpt-image-1"}, 404, "model_not_found", "model"),
        ({"model": None}, 400, "missing_required_parameter", "model"),
        ({"prompt": ""}, 400, "string_below_min_length", "prompt"),
        ({"prompt": "a" * 32_001}, 400, "string_above_max_length", "prompt"),
        ({"n": 0}, 400, "integer_below_min_value", "n"),
        ({"n": 11}, 400, "integer_above_max_value", "n"),
        ({"n": "2"}, 400, "invalid_type", "n"),
        ({"n": True}, 400, "invalid_type", "n"),
        ({"stream": True, "n": 2}, 400, "invalid_value", "n"),
        ({"stream": True, "partial_images": 4}, 400, "integer_above_max_value", "partial_images"),
        ({"partial_images": 1}, 400, "invalid_value", "partial_images"),
        ({"size": "1000x1000"}, 400, "invalid_value", "size"),
        ({"size": "3072x1008"}, 400, "invalid_value", "size"),
        ({"size": "3856x2048"}, 400, "invalid_value", "size"),
        ({"size": "800x800"}, 400, "invalid_value", "size"),
        ({"size": "3840x2176"}, 400, "invalid_value", "size"),
        ({"size": "large"}, 400, "invalid_value", "size"),
        ({"size": "1536x864", "model": "gpt-image-1.5"}, 400, "invalid_value", "size"),
        ({"quality": "max"}, 400, "invalid_value", "quality"),
        ({"quality": "hd"}, 400, "invalid_value", "quality"),
        ({"background": "transparent", "output_format": "jpeg"}, 400, "invalid_value", "background"),
        ({"output_compression": 50}, 400, "invalid_value", "output_compression"),
        ({"output_compression": 101, "output_format": "jpeg"}, 400, "integer_above_max_value", "output_compression"),
        ({"output_format": "gif"}, 400, "invalid_value", "output_format"),
        ({"complexity": "low"}, 400, "invalid_value", "complexity"),
        ({"moderation": "none"}, 400, "invalid_value", "moderation"),
    ],
)
async def test_a_wrong_wish_is_refused(changes: dict[str, Any], status: int, code: str, param: str) -> None:
    """With the status, code and parameter of the real service."""
    async with package_on_fake() as (_, client):
        with pytest.raises(require_package("openai").APIStatusError) as caught:
            await client.images.generate(**WISH | changes)
    assert (caught.value.status_code, caught.value.code, caught.value.param) == (status, code, param)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": "3840x2160"},
        {"size": "1024x640"},
        {"size": "2400x800"},
        {"size": "auto", "quality": "auto", "background": "auto"},
        {"model": "gpt-image-1.5", "size": "1024x1536"},
        {"model": "gpt-image-2.5-flare", "quality": "max"},
        {"model": "gpt-image-2.6-flare", "quality": "xhigh", "complexity": "high"},
        {"output_format": "jpeg", "output_compression": 0, "moderation": "low"},
    ],
)
async def test_a_right_wish_is_granted(changes: dict[str, Any]) -> None:
    """What stands just within the limits is drawn."""
    async with package_on_fake() as (_, client):
        answer = await client.images.generate(**WISH | changes)
    assert len(answer.data) == 1


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"image": png()}, "unsupported_file_mimetype", "image"),
        ({"image": ("a.txt", png(), "text/plain")}, "unsupported_file_mimetype", "image"),
        ({"image": ("noname", png(), "")}, "unsupported_file_mimetype", "image"),
        ({"image": [("a.png", png(), "image/png"), ("b", b"", "image/gif")]}, "unsupported_file_mimetype", "image[]"),
        ({"image": ("a.png", b"paint", "image/png")}, "invalid_image_file", "image"),
        ({"image": ("a.jpg", png(), "image/jpeg")}, "invalid_image_file", "image"),
        ({"image": [IMAGE] * 17}, "invalid_value", "image"),
        ({"mask": IMAGE}, "invalid_mask_image_format", "mask"),
        (
            {"mask": ("m.webp", picture((8, 8), "webp", transparent=True), "image/webp")},
            "invalid_mask_image_format",
            "mask",
        ),
        (
            {"mask": ("m.png", picture((8, 9), "png", transparent=True), "image/png")},
            "invalid_mask_image_format",
            "mask",
        ),
        ({"mask": (*MASK[:2], "application/octet-stream")}, "unsupported_file_mimetype", "mask"),
        ({"input_fidelity": "high"}, "invalid_value", "input_fidelity"),
        ({"markup": MASK}, "invalid_value", "markup"),
        ({"extra_body": {"moderation": "low"}}, "unknown_parameter", "moderation"),
        ({"extra_body": {"n": "two"}}, "invalid_type", "n"),
        ({"extra_body": {"stream": "yes"}}, "invalid_type", "stream"),
        ({"response_format": "b64_json"}, "unknown_parameter", "response_format"),
    ],
)
async def test_a_wrong_edit_is_refused(changes: dict[str, Any], code: str, param: str) -> None:
    """With the code of the real service, and the part that is wrong."""
    async with package_on_fake() as (_, client):
        with pytest.raises(require_package("openai").BadRequestError) as caught:
            await client.images.edit(**{"image": IMAGE} | WISH | changes)
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize("key", ["sk-wrong-key-of-someone", "x"])
async def test_a_wrong_key_is_refused(key: str) -> None:
    """AuthenticationError, and the message does not repeat the key."""
    openai = require_package("openai")
    async with package_on_fake(key) as (_, client):
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.images.generate(**WISH)
    assert caught.value.code == "invalid_api_key"
    assert f" {key}." not in caught.value.message


async def test_a_bad_request_is_refused_before_a_script() -> None:
    """A script does not let a bad request pass, unless it says so."""
    openai = require_package("openai")
    fine = json_answer(200, {"created": 5})
    async with package_on_fake() as (fake, client):
        fake.answer_next(fine, Answer(fine.status, fine.headers, fine.pieces, checks=False))
        with pytest.raises(openai.NotFoundError):
            await client.images.generate(prompt="x", model="dall-e-3")
        assert (await client.images.generate(prompt="x", model="dall-e-3")).created == 5


async def test_a_wrong_path_is_refused() -> None:
    """A base URL with a path too much is found out."""
    openai = require_package("openai")
    async with package_on_fake() as (fake, client):
        with pytest.raises(openai.NotFoundError) as caught:
            await client.with_options(base_url=f"{fake.base_url}/v1").images.generate(**WISH)
    assert "Invalid URL (POST /v1/v1/images/generations)" in caught.value.message

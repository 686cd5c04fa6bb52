"""What the fake OpenAI refuses and the official package never sends."""

import base64
from typing import Any

import httpx
import pytest

from tests.support.openai_api import fake_openai
from tests.support.openai_wire import picture
from tests.support.pictures import png

KEY = {"authorization": "Bearer sk-test"}
FORM = {"content-type": "multipart/form-data; boundary=b"}
TEXT = 'Content-Disposition: form-data; name="{}"\r\n\r\n{}'
FILE = 'Content-Disposition: form-data; name="{}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
UNTYPED = 'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
WISH = [TEXT.format("model", "gpt-image-2").encode(), TEXT.format("prompt", "x").encode()]
DATA = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
OPAQUE = f"data:image/png;base64,{base64.b64encode(picture((8, 8), 'png')).decode()}"


async def _asked(method: str, path: str, headers: dict[str, str], content: bytes) -> httpx.Response:
    async with fake_openai() as fake, httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, f"{fake.base_url}{path}", headers=headers, content=content)


def _error(response: httpx.Response) -> tuple[int, str | None, str | None]:
    error = response.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    return response.status_code, error["code"], error["param"]


def _image(name: str = "image") -> bytes:
    return FILE.format(name).encode() + png()


@pytest.mark.parametrize(
    ("parts", "code", "param"),
    [
        ([*WISH], "missing_required_parameter", "image"),
        ([*WISH, UNTYPED.encode() + png()], "missing_file_mimetype", "image"),
        ([*WISH, _image(), _image()], "duplicate_parameter", "image"),
        ([*WISH, _image(), _image("image[]")], "duplicate_parameter", "image"),
        ([*WISH, _image("image[0]")], "invalid_type", "image[0]"),
        ([*WISH, _image("images")], "unknown_parameter", "images"),
        ([*WISH, TEXT.format("image", "a.png").encode()], "invalid_type", "image"),
        ([*WISH, WISH[1], _image()], "duplicate_parameter", "prompt"),
        ([*WISH[:1], _image()], "missing_required_parameter", "prompt"),
        ([b"Content-Type: text/plain\r\n\r\n", *WISH, _image()], None, None),
    ],
)
async def test_a_wrong_form_is_refused(parts: list[bytes], code: str | None, param: str | None) -> None:
    """Names, types and number of the parts must be as they should; the same form with one image is fine."""
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    assert _error(await _asked("POST", "/images/edits", KEY | FORM, body)) == (400, code, param)


@pytest.mark.parametrize("name", ["image", "image[]"])
async def test_a_form_in_order_is_granted(name: str) -> None:
    """The form of the test above without its fault."""
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in [*WISH, _image(name)]) + b"--b--\r\n"
    assert (await _asked("POST", "/images/edits", KEY | FORM, body)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"images": None}, "missing_required_parameter", "images"),
        ({"images": []}, "invalid_type", "images"),
        ({"images": [{"file_id": "f"}] * 17}, "invalid_type", "images"),
        ({"images": [DATA]}, "invalid_type", "images[0]"),
        ({"images": [{"image_url": DATA, "file_id": "f"}]}, "invalid_value", "images[0]"),
        ({"images": [{"url": DATA}]}, "unknown_parameter", "images[0].url"),
        ({"images": [{"image_url": 1}]}, "invalid_type", "images[0]"),
        (
            {"images": [{"file_id": "f"}, {"image_url": "http://images.example/1.png"}]},
            "invalid_value",
            "images[1].image_url",
        ),
        ({"images": [{"image_url": "data:image/png;base64,@"}]}, "invalid_value", "images[0].image_url"),
        ({"images": [{"image_url": DATA.replace("png", "jpeg")}]}, "invalid_image_file", "images[0]"),
        ({"mask": {"image_url": OPAQUE}}, "invalid_mask_image_format", "mask"),
        ({"image": DATA}, "unknown_parameter", "image"),
    ],
)
async def test_a_wrong_reference_is_refused(changes: dict[str, Any], code: str, param: str) -> None:
    """Exactly one kind of reference, to something that can be one."""
    wish = {"model": "gpt-image-2", "prompt": "x", "images": [{"image_url": DATA}], "moderation": "low"}
    async with fake_openai() as fake, httpx.AsyncClient(trust_env=False, headers=KEY) as client:
        assert (await client.post(f"{fake.base_url}/images/edits", json=wish)).status_code == 200
        refused = await client.post(f"{fake.base_url}/images/edits", json=wish | changes)
    assert _error(refused) == (400, code, param)


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "error"),
    [
        ("POST", "/images/generations", {}, b"{}", (401, "invalid_api_key", None)),
        ("POST", "/images/generations", {"authorization": "Basic x"}, b"{}", (401, "invalid_api_key", None)),
        ("POST", "/images/generations", KEY, b"{}", (400, "unsupported_content_type", None)),
        ("POST", "/images/edits", KEY | {"content-type": "text/plain"}, b"{}", (400, "unsupported_content_type", None)),
        ("POST", "/images/generations", KEY | {"content-type": "application/json"}, b'{"a":', (400, None, None)),
        (
            "POST",
            "/images/generations",
            KEY | {"content-type": "application/json"},
            b'{"a":1,"a":2}',
            (400, None, None),
        ),
        (
            "POST",
            "/images/generations",
            KEY | {"content-type": "application/json"},
            b"[]",
            (400, "invalid_type", "body"),
        ),
        ("GET", "/images/generations", KEY, b"", (405, "method_not_supported", None)),
        ("POST", "/images", KEY, b"", (404, None, None)),
    ],
)
async def test_a_wrong_call_is_refused(
    method: str, path: str, headers: dict[str, str], content: bytes, error: tuple[int, str | None, str | None]
) -> None:
    """Without a key, with another kind of body, or somewhere else."""
    assert _error(await _asked(method, path, headers, content)) == error

"""What the official package sends: the capture itself, and the captures held against OpenAI's own document."""

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.openai_package import KEY, sent_by_package
from tests.support.openai_wire import picture
from tests.support.openapi import validator
from tests.support.pictures import png
from tests.support.recording import Part, RecordedRequest, read_form

WISH: dict[str, Any] = {
    "model": "gpt-image-2",
    "prompt": "ein graues Quadrat, größer",
    "n": 2,
    "size": "1536x864",
    "quality": "high",
    "background": "opaque",
    "output_format": "webp",
    "output_compression": 80,
    "user": "u-1",
}
IMAGES = [("a.png", png(), "image/png"), ("b.png", png(shade=1), "image/png"), ("c.png", png(shade=2), "image/png")]
MASK = ("mask.png", picture((8, 8), "png", transparent=True), "image/png")
STREAMED = {"stream": True, "partial_images": 2, "n": 1}
INTEGERS = {"n", "output_compression", "partial_images"}

Call = Callable[[Any], Awaitable[object]]


def _generation(**changes: Any) -> Call:
    return lambda client: client.images.generate(**WISH | changes)


def _edit(image: object, **changes: Any) -> Call:
    return lambda client: client.images.edit(image=image, **WISH | changes)


def _as_text(wish: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) if type(value) in {int, bool} else value for name, value in wish.items()}


def _form_as_object(request: RecordedRequest) -> dict[str, Any]:
    """Read a form as the schema has it: files as bytes, numbers and truth as such."""
    fields: dict[str, Any] = dict(request.fields)
    for name in fields.keys() & (INTEGERS | {"stream"}):
        fields[name] = json.loads(fields[name])
    images = [file.data for file in request.files if file.name in {"image", "image[]"}]
    fields["image"] = images if request.files[0].name == "image[]" else images[0]
    return fields | {file.name: file.data for file in request.files if file.name == "mask"}


@pytest.mark.parametrize("changes", [{}, STREAMED], ids=["whole", "streamed"])
async def test_a_generation_as_it_is_sent(changes: dict[str, Any]) -> None:
    """JSON of exactly what was given, with the key."""
    request = await sent_by_package(_generation(**changes))
    assert (request.method, request.path, request.media_type) == ("POST", "/v1/images/generations", "application/json")
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.json == WISH | changes


@pytest.mark.parametrize("changes", [{}, STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize("count", [1, 3])
async def test_an_edit_as_it_is_sent(count: int, changes: dict[str, Any]) -> None:
    """A form: text fields first, numbers and truth as JSON writes them, one `image` or several `image[]`, the mask."""
    request = await sent_by_package(_edit(IMAGES[0] if count == 1 else IMAGES, mask=MASK, **changes))
    name = "image" if count == 1 else "image[]"
    files = [Part(name, filename, kind, data) for filename, data, kind in IMAGES[:count]]
    assert (request.method, request.path, request.media_type) == ("POST", "/v1/images/edits", "multipart/form-data")
    assert request.fields == _as_text(WISH | changes)
    assert request.parts[len(request.fields) :] == [*files, Part("mask", MASK[0], MASK[2], MASK[1])]


async def test_a_list_of_one_image_is_sent_as_a_list() -> None:
    """The name of the part follows from the type of the argument, not from the number of images."""
    request = await sent_by_package(_edit(IMAGES[:1]))
    assert [file.name for file in request.files] == ["image[]"]


async def test_an_image_without_a_type_is_sent_as_nothing_in_particular() -> None:
    """Bytes alone go as octet-stream, which the service refuses: a type must be given."""
    request = await sent_by_package(_edit(png()))
    assert [(file.filename, file.content_type) for file in request.files] == [("upload", "application/octet-stream")]


@pytest.mark.parametrize("changes", [{}, STREAMED, {"moderation": "low"}], ids=["whole", "streamed", "moderated"])
async def test_a_sent_generation_is_of_the_schema(changes: dict[str, Any]) -> None:
    """OpenAI's document allows what OpenAI's package sends; another member or a number too large it does not."""
    request = await sent_by_package(_generation(**changes))
    schema = validator("CreateImageRequest")
    assert list(schema.iter_errors(request.json)) == []
    wrongs = [{"seed": 1}, {"n": 11}, {"prompt": None}, {"background": "none"}, {"partial_images": 4}]
    for wrong in wrongs:
        assert not schema.is_valid(request.json | wrong)


@pytest.mark.parametrize("changes", [{}, STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize("image", [IMAGES[0], IMAGES], ids=["one", "several"])
async def test_a_sent_edit_is_of_the_schema(image: object, changes: dict[str, Any]) -> None:
    """The fields of the form, read as the schema has them, are valid; text for a number or a file is not."""
    fields = _form_as_object(await sent_by_package(_edit(image, mask=MASK, **changes)))
    schema = validator("CreateImageEditRequest")
    assert list(schema.iter_errors(fields)) == []
    wrongs: list[dict[str, Any]] = [{"n": "2"}, {"mask": "text"}, {"seed": 1}, {"input_fidelity": "medium"}]
    for wrong in wrongs:
        assert not schema.is_valid(fields | wrong)


def test_references_are_of_the_schema() -> None:
    """An edit of JSON: exactly one of the two kinds of reference, through all references of the schema."""
    schema = validator("EditImageBodyJsonParam")
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    wish: dict[str, Any] = {
        "model": "gpt-image-9",
        "prompt": "x",
        "size": "1536x864",
        "images": [{"image_url": url}, {"file_id": "f"}],
    }
    assert list(schema.iter_errors(wish)) == []
    assert not schema.is_valid(wish | {"images": [{"image_url": url, "file_id": "f"}]})
    assert not schema.is_valid(wish | {"images": []})


def test_enums_are_closed_unless_they_are_said_to_be_open() -> None:
    """A quality that the document does not know yet is valid only while its enum is open; null is always allowed."""
    wish = {"prompt": "x", "quality": "beyond", "n": None}
    assert validator("CreateImageRequest").is_valid(wish)
    assert not validator("CreateImageRequest", open_enums=()).is_valid(wish)
    assert validator("CreateImageRequest", open_enums=()).is_valid(wish | {"quality": None})


_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='"%\\'), min_size=1, max_size=8
)
_PARTS = st.builds(
    Part,
    _NAMES,
    st.none() | _NAMES,
    st.sampled_from(["image/png", "text/plain"]),
    st.binary(max_size=40) | st.just(b"\r\n--"),
)


@given(parts=st.lists(_PARTS, min_size=1, max_size=4))
async def test_a_form_written_by_another_hand_is_read(parts: Sequence[Part]) -> None:
    """What aiohttp writes is taken apart to the same names, types and bytes."""
    assert read_form(*await _written_by_aiohttp(parts)) == list(parts)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b--\r\n",
        b'preamble\r\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n',
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n1\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--b--\r\n',
        b"--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\nX-Odd: 1\r\n\r\n1\r\n--b--\r\n',
        b'--b\nContent-Disposition: form-data; name="a"\n\n1\n--b--\n',
    ],
)
def test_an_odd_form_is_no_form(body: bytes) -> None:
    """Framing and heads that are not as they should be do not pass."""
    with pytest.raises(ValueError, match=r"form|part|unpack"):
        read_form("multipart/form-data; boundary=b", body)


async def _written_by_aiohttp(parts: Sequence[Part]) -> tuple[str, bytes]:
    with aiohttp.MultipartWriter("form-data") as writer:
        for part in parts:
            payload = writer.append(part.data, {"Content-Type": str(part.content_type)})
            names = {"name": part.name} | ({} if part.filename is None else {"filename": part.filename})
            payload.set_content_disposition("form-data", quote_fields=False, **names)
            payload.headers.pop("Content-Length", None)
    return writer.content_type, await writer.as_bytes()

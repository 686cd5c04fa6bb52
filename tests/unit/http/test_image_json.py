"""Images are cut out of JSON answers exactly, and everything else is left as it is."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from imagegen_server.http import image_json
from imagegen_server.http.image_json import JsonBody, parse_fully, parse_image_json

from tests.support.image_trees import image, plain

KEYS = frozenset({"b64_json", "data", "images"})


PICTURE = bytes(range(256)) * 3


TEXT = base64.b64encode(PICTURE).decode()


@pytest.fixture
def _no_full_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(body: JsonBody, keys: frozenset[str]) -> None:
        pytest.fail("the answer went through the full parse")

    monkeypatch.setattr(image_json, "parse_fully", fail)


def _openai(*texts: str, prompt: str = "a boat") -> dict[str, Any]:
    return {
        "created": 1713833628,
        "background": "opaque",
        "data": [{"revised_prompt": prompt, "b64_json": text} for text in texts],
        "usage": {"total_tokens": 100, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}},
    }


_ORDINARY: dict[str, tuple[Any, Any]] = {
    "one image": (_openai(TEXT), lambda tree: [tree["data"][0]["b64_json"]]),
    "three images": (_openai(TEXT, "QUJD", TEXT), lambda tree: [each["b64_json"] for each in tree["data"]]),
    "a prompt with quotes": (
        _openai(TEXT, prompt='a "boat"\\ \n "b64_json":"QUJD" ☂ \\"'),
        lambda tree: [tree["data"][0]["b64_json"]],
    ),
    "partial": (
        {"type": "image_generation.partial_image", "b64_json": TEXT, "partial_image_index": 0},
        lambda tree: [tree["b64_json"]],
    ),
    "gemini": (
        {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": TEXT}}]}}]},
        lambda tree: [tree["candidates"][0]["content"]["parts"][0]["inlineData"]["data"]],
    ),
    "bedrock": ({"images": [TEXT, "QUJD"], "error": None}, lambda tree: tree["images"]),
    "data URL": (
        {"images": [{"image_url": {"data": "data:image/png;base64," + TEXT}}]},
        lambda tree: [tree["images"][0]["image_url"]["data"]],
    ),
    "base64url without padding": (
        {"data": TEXT.replace("+", "-").replace("/", "_").rstrip("=")},
        lambda tree: [tree["data"]],
    ),
}


@pytest.mark.usefixtures("_no_full_parse")
@pytest.mark.parametrize("name", _ORDINARY)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_ordinary_answers_take_the_short_way(name: str, indent: int | None, *, ascii_only: bool) -> None:
    """No ordinary answer falls back to the full parse, which would be slow and otherwise unseen."""
    document, images = _ORDINARY[name]
    body = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()

    tree = parse_image_json(body, KEYS)

    found = images(tree)
    assert [bytes(each.text).decode() for each in found] == images(document)
    assert all(each.decode() in {PICTURE, b"ABC"} for each in found)


@pytest.mark.parametrize("name", _ORDINARY)
def test_the_full_parse_makes_the_same(name: str) -> None:
    """The reference and the short way agree about ordinary answers."""
    body = json.dumps(_ORDINARY[name][0]).encode()

    assert plain(parse_fully(body, KEYS)) == plain(parse_image_json(body, KEYS))


@pytest.mark.usefixtures("_no_full_parse")
def test_an_image_is_a_view_of_the_body() -> None:
    """The short way copies no image: it is seen through the body itself."""
    body = bytearray(json.dumps(_openai(TEXT)).encode())
    at = body.index(TEXT.encode())

    tree: Any = parse_image_json(body, KEYS)
    body[at : at + 4] = b"QUJD"

    assert tree["data"][0]["b64_json"].decode()[:3] == b"ABC"


@pytest.mark.usefixtures("_no_full_parse")
@pytest.mark.parametrize(
    "kind",
    [bytes, bytearray, memoryview, lambda body: memoryview(b"xx" + body + b"xx")[2:-2]],
    ids=["bytes", "bytearray", "memoryview", "part of a memoryview"],
)
def test_every_kind_of_body_is_read(kind: Callable[[bytes], JsonBody]) -> None:
    """Bytes, a bytearray, a view of all of it or of a part."""
    body = kind(json.dumps(_openai(TEXT)).encode())

    tree: Any = parse_image_json(body, KEYS)

    assert tree["data"][0]["b64_json"].decode() == PICTURE
    assert plain(parse_fully(body, KEYS)) == plain(tree)


def test_a_strided_view_is_read_in_its_own_order() -> None:
    """A view that runs backwards is not taken for its owner."""
    body = memoryview(b'{"data": "QUJD"}'[::-1])[::-1]

    assert plain(parse_image_json(body, KEYS)) == {"data": image("QUJD")}


def test_images_hold_the_body_until_they_are_dropped() -> None:
    """A bytearray cannot be resized under an image, and can be again without it."""
    body = bytearray(json.dumps(_openai(TEXT)).encode())
    tree: Any = parse_image_json(body, KEYS)

    with pytest.raises(BufferError):
        body.clear()

    del tree
    body.clear()
    assert not body


@pytest.mark.parametrize(
    ("body", "tree"),
    [
        ('{"b64_json":"QUJD"}', {"b64_json": image("QUJD")}),
        ('\n\t { "b64_json"\r\n\t :\n "QUJD" } \n', {"b64_json": image("QUJD")}),
        ('{"b64_json":""}', {"b64_json": image("")}),
        ('{"b64_json":"","data":"","x":""}', {"b64_json": image(""), "data": image(""), "x": ""}),
        ('{"b64_json":null}', {"b64_json": None}),
        ('{"data":[]}', {"data": []}),
        ('{"data":{"data":"QUJD"}}', {"data": {"data": image("QUJD")}}),
        ('{"data":[{"b64_json":"QUJD"},{"url":"0"}]}', {"data": [{"b64_json": image("QUJD")}, {"url": "0"}]}),
        ('{"images":["QUJD"]}', {"images": [image("QUJD")]}),
        ('{"images": [ "QUJD" ,\n"QQ==" ] }', {"images": [image("QUJD"), image("QQ==")]}),
        ('{"images":["QUJD",null,"0"]}', {"images": [image("QUJD"), None, image("0")]}),
        ('{"images":[null,"0","QUJD"]}', {"images": [None, image("0"), image("QUJD")]}),
        ('{"images":[{"data":"QUJD"},"0"]}', {"images": [{"data": image("QUJD")}, image("0")]}),
        ('{"images":["QUJD",{"data":"QQ=="}]}', {"images": [image("QUJD"), {"data": image("QQ==")}]}),
        ('{"images":[["QUJD"]]}', {"images": [["QUJD"]]}),
        ('["QUJD",{"x":["0","1"]}]', ["QUJD", {"x": ["0", "1"]}]),
        ('"data"', "data"),
        ('["data","QUJD"]', ["data", "QUJD"]),
        ('{"x":"data","y":"QUJD"}', {"x": "data", "y": "QUJD"}),
        ('{"data":"A","data":"B"}', {"data": image("B")}),
        ('{"data":"A","data":5,"x":"0"}', {"data": 5, "x": "0"}),
        ('{"data":5,"data":"A"}', {"data": image("A")}),
        ('{"data":["A","B"],"data":["C",{"x":"0"}]}', {"data": [image("C"), {"x": "0"}]}),
        (
            '{"0":"1","data":"A","b64_json":"0","x":"0"}',
            {"0": "1", "data": image("A"), "b64_json": image("0"), "x": "0"},
        ),
        (r'{"b64\u005fjson":"QUJD"}', {"b64_json": image("QUJD")}),
        (r'{"b64\u005fjson":"0","data":"QUJD"}', {"b64_json": image("0"), "data": image("QUJD")}),
        (r'{"b64\u005fjson":["QUJD"]}', {"b64_json": [image("QUJD")]}),
        (r'{"b64\u005fjson":[null,"QUJD"]}', {"b64_json": [None, image("QUJD")]}),
        (r'{"data":"QU\/D"}', {"data": image("QU/D")}),
        (r'{"data":"QU\"D"}', {"data": image('QU"D')}),
        (r'{"data":"QU\\"}', {"data": image("QU\\")}),
        (r'{"data":"QU\n"}', {"data": image("QU\n")}),
        (r'{"x\\":"\\","data":"QUJD"}', {"x\\": "\\", "data": image("QUJD")}),
        (r'{"x":"\\\\\"","data":"QUJD"}', {"x": '\\\\"', "data": image("QUJD")}),
        ('{"data":"é☂","x":"é"}', {"data": image("é☂"), "x": "é"}),
        (r'{"data":"\ud800"}', {"data": ("image", b"\xed\xa0\x80")}),
        ('{"data":"not base64 at all"}', {"data": image("not base64 at all")}),
        ('{"data":"\x7f"}', {"data": image("\x7f")}),
        ('{"data":"QUJD","x":Infinity,"y":-Infinity}', {"data": image("QUJD"), "x": float("inf"), "y": float("-inf")}),
        ("5", 5),
    ],
)
def test_rules(body: str, tree: Any) -> None:
    """What is an image and what stays, the same on both ways."""
    assert plain(parse_image_json(body.encode(), KEYS)) == tree
    assert plain(parse_fully(body.encode(), KEYS)) == tree


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_other_encodings_are_read(encoding: str) -> None:
    """A byte order mark or wide characters cost time, not the answer."""
    assert plain(parse_image_json('{"data":"QUJD","x":"é"}'.encode(encoding), KEYS)) == {
        "data": image("QUJD"),
        "x": "é",
    }


def test_wide_characters_cannot_pass_for_an_image() -> None:
    """In UTF-16 the bytes of an image's place may be a few Chinese letters of a text."""
    letters = b'A""data":"QUJ"A"'
    body = b'\xff\xfe"\0' + letters + b'"\0'

    assert parse_image_json(body, KEYS) == parse_fully(body, KEYS) == letters.decode("utf-16-le")


@pytest.mark.usefixtures("_no_full_parse")
@pytest.mark.parametrize(
    "prompt",
    [
        '"b64_json":"QUJD"',
        '","b64_json":"QUJD',
        '\\","b64_json":"QUJD","x":"',
        '\\\\","b64_json":"QUJD","x":"\\',
        '{"data":[{"b64_json":"QUJD"}]}',
        "\\",
        '"',
        '\\"',
        'b64_json":',
        "b64_json",
        '": "',
        '"images":["QUJD"',
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_prompt_cannot_pass_for_an_image(prompt: str, *, before: bool) -> None:
    """Text of the caller that looks like an image's place stays text, and the image stays the image."""
    texts = {"revised_prompt": prompt, "other": [prompt, {"deep": prompt}]}
    document = {**texts, "b64_json": TEXT} if before else {"b64_json": TEXT, **texts}

    tree: Any = parse_image_json(json.dumps(document).encode(), KEYS)

    assert plain(tree) == {**texts, "b64_json": image(TEXT)}


@pytest.mark.usefixtures("_no_full_parse")
def test_a_hostile_key_is_no_image_key() -> None:
    """The whole key counts, not its end or its case."""
    body = b'{"xb64_json":"QUJD","b64_jsonx":"QUJD","B64_JSON":"QUJD"," b64_json":"QUJD","b64_json":"QQ=="}'

    tree = parse_image_json(body, KEYS)

    assert plain(tree) == json.loads(body) | {"b64_json": image("QQ==")}


def test_encoded_length() -> None:
    """Known without decoding, on both ways."""
    for parse in (parse_image_json, parse_fully):
        tree: Any = parse(f'{{"data":"{TEXT}"}}'.encode(), KEYS)
        assert tree["data"].encoded_length == len(TEXT)

"""Requests as text: nothing binary, everything else as it is sent."""

import base64
import hashlib
import json
import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.http.body import FormFile, json_body
from imagegen_server.http.redaction import SHORTEST_RUN, digest_text, form_text, json_text, url_text

from tests.support.http_server import collected
from tests.support.pictures import noisy_png, png

RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{SHORTEST_RUN}}}")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ENCODERS = [base64.b64encode, base64.urlsafe_b64encode, lambda data: base64.b64encode(data).rstrip(b"=")]


def expected(data: bytes) -> str:
    """Write what stands for bytes, apart from the code."""
    return f"<sha256 {hashlib.sha256(data).hexdigest()}, {len(data)} bytes>"


def strings(value: Any) -> list[str]:
    """Find every string of a JSON value, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *strings(item))]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


@given(st.dictionaries(st.text(), JSON))
def test_what_holds_no_base64_is_written_as_it_is_sent(content: dict[str, Any]) -> None:
    """Byte by byte, spaces and half surrogates included."""
    sent = b"".join(collected(json_body(content).stream))

    assert json_text(content).encode("utf-8", "replace") == sent


@given(
    st.binary(min_size=SHORTEST_RUN * 3 // 4, max_size=4000),
    st.sampled_from(ENCODERS),
    st.text(' .,!?:#äß\n"\\', max_size=20),
)
def test_long_base64_is_a_hash_wherever_it_stands(data: bytes, encode: Any, around: str) -> None:
    """In either alphabet, with or without padding, alone or within a text, in lists, objects and keys."""
    run = encode(data).decode()
    content = {"a": run, "b": [{"c": f"{around}{run}{around}"}], run: True}

    written = json.loads(json_text(content))

    assert written == {"a": expected(data), "b": [{"c": f"{around}{expected(data)}{around}"}], expected(data): True}


@given(st.lists(st.text("AZaz09+/_-= \n", max_size=2000), max_size=3))
def test_no_long_run_of_base64_is_left(texts: list[str]) -> None:
    """Whether or not it can be decoded."""
    written = [*strings(json.loads(json_text({"texts": list(texts)}))), form_text([("t", text) for text in texts], [])]

    assert not [text for text in written if RUN.search(text)]


def test_a_run_that_is_no_base64_is_hashed_as_it_stands() -> None:
    """One character more than a whole number of bytes."""
    run = "A" * (SHORTEST_RUN + 1)

    assert json.loads(json_text({"x": run})) == {"x": expected(run.encode())}


@pytest.mark.parametrize("data", [png(), noisy_png(40, 40), b"x"])
def test_a_data_url_keeps_its_type(data: bytes) -> None:
    """However short it is; a text around it stays."""
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"

    assert json.loads(json_text({"u": f"see {url} there"})) == {
        "u": f"see data:image/png;base64,{expected(data)} there"
    }


def test_a_small_picture_is_a_hash_too() -> None:
    """Base64 of fewer than the usual characters, if it is an image and nothing else; words are not touched."""
    small = base64.b64encode(png()).decode()
    assert len(small) < SHORTEST_RUN
    words = base64.b64encode(b"no picture at all").decode()

    assert json.loads(json_text({"image": small, "words": words})) == {"image": expected(png()), "words": words}


def test_a_form_is_a_line_for_each_part() -> None:
    """Repeated names in their order, line breaks and backslashes escaped, files as hashes with name and type."""
    fields = [("prompt", "a\r\nb\\n"), ("tags[]", "x"), ("tags[]", ""), ("n", "2")]
    files = [FormFile("image", "image.png", "image/png", png()), FormFile("odd", "a\nb", "text/plain", b"words")]

    assert form_text(fields, files).split("\n") == [
        r"prompt=a\r\nb\\n",
        "tags[]=x",
        "tags[]=",
        "n=2",
        f"image={expected(png())}; filename=image.png; type=image/png",
        rf"odd={expected(b'words')}; filename=a\nb; type=text/plain",
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://far.example/v1/images?size=2", "https://far.example/v1/images?size=2"),
        ("https://me:secret@far.example/v1", "https://far.example/v1"),
        ("https://far.example/x?key=%2A%2A%2A&n=1", "https://far.example/x?key=***&n=1"),
        ("https://far.example/bot%2a%2a%2a/x?key=***", "https://far.example/bot***/x?key=***"),
    ],
)
def test_a_url_shows_no_user_and_the_place_of_a_key(url: str, shown: str) -> None:
    """Wherever in a URL an adapter puts its key."""
    assert url_text(httpx.URL(url)) == shown


def test_the_digest_is_that_of_the_bytes() -> None:
    """As `sha256sum` writes it."""
    assert digest_text(b"") == "<sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, 0 bytes>"

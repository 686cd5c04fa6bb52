"""The short way through image answers and the full parse agree about any bytes."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.image_json import EncodedImage, parse_fully, parse_image_json

_KEYS = frozenset({"b64_json", "data", "é"})

_texts = st.one_of(
    st.text(max_size=12),
    st.text(alphabet='"\\{}[]:, \n/0b', max_size=12),
    st.sampled_from(["0", "1", "b64_json", '"b64_json":"QUJD"', '\\","data":"QUJD', "\\", '"', "☂", "\ud800"]),
)
_images = st.one_of(
    st.binary(max_size=30).map(lambda data: base64.b64encode(data).decode()),
    st.binary(max_size=30).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")),
    st.binary(max_size=30).map(lambda data: "data:image/png;base64," + base64.b64encode(data).decode()),
    _texts,
)
_keys = st.one_of(st.sampled_from([*_KEYS, "x", "b64_json ", '"data', "0"]), _texts)
_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _texts, _images, st.lists(_images, max_size=4)
)
_documents = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(_keys, inner, max_size=5),
        st.fixed_dictionaries({"created": st.just(1), "data": inner, "b64_json": _images}),
    ),
    max_leaves=12,
)


@st.composite
def _dumped(draw: st.DrawFn) -> bytes:
    """A document in one of the many ways to write it: spaces, escapes, equal keys."""
    text = json.dumps(
        draw(_documents),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 1, "\t"])),
        separators=draw(st.sampled_from([None, (",", ":"), (" ,\r\n", "\t: ")])),
    )
    if draw(st.booleans()):
        text = text.replace("/", "\\/")
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("b64_json", draw(st.sampled_from(["b64\\u005fjson", "\\u00624_json", "b64_jso\\u006E"])))
    if draw(st.integers(0, 3)) == 0:
        text = text.replace('"x"', '"data"')  # twice the same key
    return text.encode("utf-8", "surrogatepass")


_ANSWER = json.dumps(
    {
        "created": 17,
        "data": [
            {"revised_prompt": 'a "boat" ☂ \\ "b64_json":"QUJD"', "b64_json": "QUJDREVG" * 3},
            {"b64_json": "QQ==", "images": ["0", "1"]},
        ],
        "usage": {"total": 1.5e3, "data": ["QUJD", "QQ=="], "é": "QUI="},
    },
    ensure_ascii=False,
).encode()
_MARKS = [*(bytes([code]) for code in b'"\\{}[]:, \n\0\xff'), b'\\"', b'"data":"', b'"data":["', b"\\u0022", b"null"]


@st.composite
def _spoiled(draw: st.DrawFn) -> bytes:
    """A document with pieces cut out, changed, put in or doubled."""
    body = bytearray(draw(st.one_of(st.just(_ANSWER), _dumped())))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 12)))
        change = draw(st.sampled_from(["end", "cut", "put", "replace", "double"]))
        mark = draw(st.one_of(st.sampled_from(_MARKS), st.binary(min_size=1, max_size=3)))
        if change == "end":
            del body[start:]
        elif change == "cut":
            del body[start:end]
        elif change == "put":
            body[start:start] = mark
        elif change == "replace":
            body[start : start + len(mark)] = mark
        else:
            body[start:start] = body[start:end]
    return bytes(body)


def _shown(tree: Any) -> Any:
    """Something that is equal only for equal trees: order of keys, kinds of numbers and NaN included."""
    if isinstance(tree, EncodedImage):
        return ("image", bytes(tree.text))
    if isinstance(tree, list):
        return ["list", *map(_shown, tree)]
    if isinstance(tree, dict):
        return ["dict", *((key, _shown(value)) for key, value in tree.items())]
    return repr(tree)


def _outcome(parse: Callable[[bytes, frozenset[str]], Any], body: bytes) -> Any:
    try:
        return _shown(parse(body, _KEYS))
    except ImageError as error:
        return (error.reason, error.message)


def _expected(tree: Any, *, under_key: bool = False) -> Any:
    """What the rules say, written a third time on what `json.loads` makes."""
    if isinstance(tree, str):
        return ("image", tree.encode("utf-8", "surrogatepass")) if under_key else repr(tree)
    if isinstance(tree, list):
        return ["list", *(_expected(item, under_key=under_key and isinstance(item, str)) for item in tree)]
    if isinstance(tree, dict):
        return ["dict", *((key, _expected(value, under_key=key in _KEYS)) for key, value in tree.items())]
    return repr(tree)


@given(_dumped())
@example(b'{"data":"0","data":["0",1,"1"],"x":"0"}')
@example(b'{"x":"\\\\","data":"QUJD"}')
def test_documents_are_read_as_the_rules_say(body: bytes) -> None:
    """Both ways agree with `json.loads` about everything, and about which strings are images."""
    expected = _expected(json.loads(body))

    assert _outcome(parse_image_json, body) == expected
    assert _outcome(parse_fully, body) == expected


@given(_spoiled())
@example(b'{"data":"QUJD\x00"}')
@example(b'{"data":"QUJD","x":"\xc3"}')
@example(b'{"data":["QUJD" "QUJD"]}')
@example(b'{"data":"QUJD"')
def test_spoiled_documents_have_one_outcome(body: bytes) -> None:
    """The same tree or the same error on both ways; nothing else is raised."""
    outcome = _outcome(parse_image_json, body)

    assert outcome == _outcome(parse_fully, body)
    assert not isinstance(outcome, tuple) or outcome[0] is Reason.INVALID_RESPONSE


@given(st.binary(max_size=60))
def test_any_bytes_have_one_outcome(body: bytes) -> None:
    """Not only what once was JSON."""
    outcome = _outcome(parse_image_json, body)

    assert outcome == _outcome(parse_fully, body)
    assert not isinstance(outcome, tuple) or outcome[0] is Reason.INVALID_RESPONSE


@st.composite
def _spelled(draw: st.DrawFn) -> tuple[bytes, str]:
    """Bytes, and one of the accepted ways to write them."""
    data = draw(st.binary(max_size=100))
    text = draw(st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))(data).decode()
    if draw(st.booleans()):
        text = text.rstrip("=")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from([" ", "\n", "\r\n", "\t"])) + text[at:]
    return data, draw(st.sampled_from(["", "data:image/png;base64,", "data:image/webp;x=y;base64,"])) + text


@given(_spelled())
def test_what_was_encoded_comes_back(spelled: tuple[bytes, str]) -> None:
    """In every spelling, also through JSON."""
    data, text = spelled
    tree: Any = parse_image_json(json.dumps({"data": text}).encode(), _KEYS)

    assert tree["data"].decode() == data


_near_base64 = st.one_of(
    st.text(alphabet="AQgwIJ09+/-_= \n!", max_size=14),
    st.text(max_size=10),
    st.builds(
        lambda spelled, at, odd: spelled[1][:at] + odd + spelled[1][at:],
        _spelled(),
        st.integers(0, 99),
        st.text(max_size=2),
    ),
)


def _strictly(text: str) -> bytes | Reason:
    """What RFC 4648 says about the text without its head and whitespace, with standard letters and padding."""
    cleaned = re.sub(r"\A\s*data:[^,]*;base64,", "", text, flags=re.ASCII | re.IGNORECASE)
    cleaned = re.sub(r"\s", "", cleaned, flags=re.ASCII).replace("-", "+").replace("_", "/")
    padded = cleaned + "=" * (-len(cleaned) % 4)
    if not re.fullmatch("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", padded):
        return Reason.INVALID_RESPONSE
    data = base64.b64decode(padded, validate=True)
    assert len(data) == len(cleaned.rstrip("=")) * 6 // 8
    ends_within_a_byte = base64.b64encode(data).decode() != padded
    return Reason.INVALID_RESPONSE if ends_within_a_byte and padded != cleaned else data


@given(_near_base64)
@example("QUI=QUI=")
@example("QUJD!")
@example("QR")
def test_nothing_but_the_whole_text_is_decoded(text: str) -> None:
    """What comes out, or not, is what a strict reading of the cleaned text gives: every character counts."""
    try:
        decoded: bytes | Reason = EncodedImage(memoryview(text.encode())).decode()
    except ImageError as error:
        decoded = error.reason

    assert decoded == _strictly(text)

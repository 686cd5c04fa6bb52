"""JSON answers that are none, or odd, or too much: both ways say the same of them."""

import json
from typing import Any
from unittest.mock import Mock

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http import image_json
from imagegen_server.http.image_json import parse_fully, parse_image_json

from tests.support.image_trees import plain

KEYS = frozenset({"b64_json", "data", "images"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"data":"QUJD"',
        b'{"data":"QUJD',
        b'{"data":"QUJD\\',
        b'{"data":"QUJD\\"}',
        b'{"data":"QUJD"}}',
        b'{"data":"QUJD"}\0',
        b'{"data":"QUJD",}',
        b'{"data""QUJD"}',
        b'{"data"::"QUJD"}',
        b'{"data":"QUJD""x"}',
        b'{"data":"QU\nJD"}',
        b'{"data":"QU\0JD"}',
        b'{"data":"QU\xffJD"}',
        b'{"data":"QUJD","x":"\xff"}',
        b'{"data":"QU\\xJD"}',
        b'{"data\n":"QUJD"}',
        b'{"images":["QUJD",]}',
        b'{"images":["QUJD"',
        b'{"images":["QUJD" "QUJD"]}',
        b'{"images":["QUJD"}}',
        b"<html>rate limited by private-word</html>",
        b"{'data': 'QUJD'}",
        b"\xff\xfe\xff",
        b'{"data":"QUJD","x":' + b"1" * 5000 + b"}",
        b'{"data":"QUJD","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_no_json(body: bytes) -> None:
    """Both ways refuse what is no JSON, as the vendor's fault, without quoting it."""
    messages = []
    for parse in (parse_image_json, parse_fully):
        with pytest.raises(ImageError) as caught:
            parse(body, KEYS)
        assert caught.value.reason is Reason.INVALID_RESPONSE
        assert caught.value.billed is Billed.UNKNOWN
        messages.append(caught.value.message)

    assert messages[0] == messages[1]
    assert "private-word" not in messages[0]
    assert "QUJD" not in messages[0]


def test_the_message_tells_where() -> None:
    """The position is that of the whole answer, not of the rest without images."""
    body = f'{{"data":"{"QUJD" * 100}" !}}'.encode()

    with pytest.raises(ImageError, match=rf"\(at character {body.index(b'!')}\)"):
        parse_image_json(body, KEYS)


@pytest.mark.parametrize("body", [b'{"data":"QUJD",', b'{"data":"QUJD", "b":}', b'{"data":"QU\\u0041D"}', b'["a", "'])
def test_a_failure_does_not_hold_the_body(body: bytes) -> None:
    """Neither an error in hand nor a fall-back leaves a view behind."""
    buffer = bytearray(body)
    kept: Any = None
    try:
        parse_image_json(buffer, KEYS)
    except ImageError as error:
        kept = error

    buffer.clear()

    assert kept is None or (kept.__cause__ is None and kept.__context__ is None)


@pytest.mark.parametrize(
    ("document", "calls"),
    [
        ({"x": ["a"] * 6000, "data": "QUJD"}, 1),
        ({"images": ["QUJD"] * 6000, "data": "QUJD"}, 1),
        ({"x": '"\\' * 100_000, "data": "QUJD"}, 0),
    ],
    ids=["strings", "images", "escaped quotes"],
)
def test_very_many_tokens(monkeypatch: pytest.MonkeyPatch, document: Any, calls: int) -> None:
    """Where the walk would take long it leaves the rest to the parser, and the answer is the same."""
    body = json.dumps(document).encode()
    full_parse = Mock(wraps=parse_fully)
    monkeypatch.setattr(image_json, "parse_fully", full_parse)

    assert plain(parse_image_json(body, KEYS)) == plain(parse_fully(body, KEYS))
    assert full_parse.call_count == calls


@pytest.mark.parametrize("length", [131071, 131072, 131073, 262144, 300001])
@pytest.mark.parametrize("odd", ["\n", "\0", "\x1f", "é", "\\u0041", "\\"])
def test_oddities_deep_in_a_long_image_are_seen(length: int, odd: str) -> None:
    """Long texts are checked to their last character: what the parser refuses is not let through."""
    for text in ("A" * length + odd, "A" * (length - 5) + odd + "A" * 9):
        body = f'{{"data":"{text}"}}'.encode()
        outcomes = []
        for parse in (parse_image_json, parse_fully):
            try:
                outcomes.append(plain(parse(body, KEYS)))
            except ImageError as error:
                outcomes.append(error.message)
        assert outcomes[0] == outcomes[1]

"""Answers of a great many values: bounded, because each takes many times its bytes, and the event loop waits."""

import json

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.image_json import EncodedImage, parse_fully, parse_image_json

_KEYS = frozenset({"b64_json"})


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"0," * 1_100_000 + b"0]",
        b"[" + b"[]," * 1_100_000 + b"0]",
        b'{"data":[' + b'{"b64_json":""},' * 400_000 + b"0]}",
        (b"[" + b"0," * 1_100_000 + b"0]").decode().encode("utf-16"),
    ],
    ids=["numbers", "lists", "images", "utf-16"],
)
def test_millions_of_values_are_not_built(body: bytes) -> None:
    """Neither by the walk nor by the full parse."""
    for parse in (parse_image_json, parse_fully):
        with pytest.raises(ImageError, match="more than 1000000 values") as caught:
            parse(body, _KEYS)
        assert caught.value.reason is Reason.INVALID_RESPONSE


def test_marks_within_an_image_are_none() -> None:
    """Nor is a long image many values; a hundred thousand images are read."""
    body = json.dumps({"data": [{"b64_json": "QUFB"}] * 100_000, "b64_json": "A" * 2_000_000}).encode()
    tree = parse_image_json(body, _KEYS)

    assert isinstance(tree, dict)
    assert isinstance(tree["data"], list)
    assert len(tree["data"]) == 100_000
    assert isinstance(tree["b64_json"], EncodedImage)

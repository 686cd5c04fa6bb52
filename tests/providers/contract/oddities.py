"""Answers that no vendor should give, and pictures that carry a mark which no encoder would keep."""

import base64
import copy
import gzip
import json
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from imagegen_server.images.facts import read_facts

from tests.support.vendor import Answer, event_answer, html_answer, json_answer

_JSON = {"content-type": "application/json"}
_DEPTH = 100_000
_MOST_PLACES = 40
_MARK = b"Comment\0as the vendor drew it"
_ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")


def _body(data: bytes, status: int = 200, **headers: str) -> Answer:
    return Answer(status, _JSON | {name.replace("_", "-"): value for name, value in headers.items()}, [data])


_SMALL: tuple[object, ...] = (
    *(None, [], "x", 1, {}, {"error": None}, {"error": []}, {"error": {"message": 5, "code": {}}}),
)
_ERRORS_OF_TOMORROW = {
    "errors": [{"reason": {"x": 1}}],
    "detail": [None, {"msg": 1, "loc": [1, None]}],
    "name": [],
}

ODD_ANSWERS: Mapping[str, Callable[[], Answer]] = {
    "nothing": lambda: Answer(200, _JSON),
    "nothing of any kind": lambda: Answer(200),
    "no content": lambda: Answer(204),
    "a page of a proxy": lambda: html_answer(200),
    "garbage": lambda: _body(bytes(range(256)) * 8),
    "garbage called a picture": lambda: Answer(200, {"content-type": "image/png"}, [bytes(range(256)) * 8]),
    "a text": lambda: Answer(200, {"content-type": "text/plain"}, [b"fine"]),
    "UTF-16": lambda: _body('{"data": []}'.encode("utf-16")),
    "half a JSON": lambda: _body(b'{"data": [{"b64_json": "iVBORw0KGgo'),
    "deep lists": lambda: _body(b"[" * _DEPTH),
    "deep objects": lambda: _body(b'{"data":' * _DEPTH),
    "deep and closed": lambda: _body(b'{"data":' + b"[" * _DEPTH + b"]" * _DEPTH + b"}"),
    "a long number": lambda: _body(b'{"data": ' + b"9" * 10_000 + b"}"),
    "NaN": lambda: _body(b'{"data": NaN, "usage": Infinity}'),
    "broken gzip": lambda: _body(gzip.compress(b"{}" * 99)[:-9], content_encoding="gzip"),
    "unknown compression": lambda: _body(b"{}", content_encoding="br"),
    "cut short": lambda: Answer(200, _JSON, [b"", b'{"data": [{"b64_json": "iVBORw0K'], breaks_off=True),
    "cut behind its head": lambda: Answer(200, _JSON, [b"", b""], breaks_off=True),
    "an empty stream": lambda: event_answer(b""),
    "a stream of nothing": lambda: event_answer(b"data: \n\n", b": ping\n\n", b"data: [DONE]\n\n"),
    "a stream of odd events": lambda: event_answer(b"event: x\ndata: 1\n\n", b"data: []\n\n", b'data: "x"\n\n'),
    "a stream that is cut": lambda: event_answer(b'data: {"type": "x', breaks_off=True),
    "elsewhere": lambda: Answer(307, {"location": "http://127.0.0.1:9/"}),
    "elsewhere without a place": lambda: Answer(302),
    "a teapot": lambda: html_answer(418),
    "not found by a proxy": lambda: html_answer(404),
    "too many by a proxy": lambda: html_answer(429, {"retry-after": "soon"}),
    "bad gateway": lambda: html_answer(502),
    "overloaded by a proxy": lambda: html_answer(503, {"retry-after": "-3"}),
    "no time left by a proxy": lambda: html_answer(504),
    "an empty failure": lambda: Answer(500),
    "a status of tomorrow": lambda: json_answer(599, {}),
    **{
        f"JSON {value!r} with {status}": partial(json_answer, status, value)
        for status in (200, 400, 429, 500)
        for value in _SMALL
    },
    **{
        f"errors of tomorrow with {status}": partial(json_answer, status, _ERRORS_OF_TOMORROW)
        for status in (200, 400, 500)
    },
}
"""By what is odd about them."""

ODD_VALUES: tuple[object, ...] = (None, True, -1, 1.5, 10**400, "", "\ud800\x1b[2J", [], [None], {"x": []})


def endless(kind: str = "application/json") -> Answer:
    """Say some 400 MiB of blanks, which are few bytes on the way."""
    return Answer(200, {"content-type": kind, "content-encoding": "gzip"}, [_squeezed_blanks()])


@cache
def _squeezed_blanks() -> bytes:
    squeeze, blanks = zlib.compressobj(1, wbits=31), b" " * (1 << 20)
    return b"".join([*(squeeze.compress(blanks) for _ in range(400)), squeeze.flush()])


def whole(answer: Answer) -> bytes:
    """Put the body of an answer together."""
    return b"".join(piece for piece in answer.pieces if isinstance(piece, bytes))


def is_json(answer: Answer) -> bool:
    """Tell whether an answer is JSON."""
    return "json" in _kind(answer)


def bent(answer: Answer) -> Iterator[tuple[str, Answer]]:
    """Make answers of one, each with one value of its JSON changed or gone, and name the place."""
    if is_json(answer):
        for place, body in _bent(json.loads(whole(answer))):
            yield place, replace(answer, pieces=[json.dumps(body).encode()])
    elif "event-stream" in _kind(answer):
        events = [piece for piece in answer.pieces if isinstance(piece, bytes)]
        for number, event in enumerate(events):
            head, colon, data = event.partition(b"data: ")
            if not colon or not data.startswith(b"{"):
                continue
            for place, body in _bent(json.loads(data)):
                changed = b"%sdata: %s\n\n" % (head, json.dumps(body).encode())
                yield (
                    f"event {number}: {place}",
                    replace(answer, pieces=[*events[:number], changed, *events[number + 1 :]]),
                )


def echoing(answer: Answer, words: str) -> Iterator[Answer]:
    """Make answers of one, in each of which one text or the name of one header's value also says `words`."""
    for name, value in answer.headers.items():
        if name.lower() not in {"content-type", "content-encoding", "location", "retry-after"}:
            yield replace(answer, headers={**answer.headers, name: f"{value} {words}"})
    if is_json(answer):
        payload = _read(whole(answer))
        for place in _some(_places(payload)):
            if isinstance(value := _at(payload, place), str):
                said = f"https://x.example/{words}?{value}" if "://" in value else f"{value} {words}"
                yield replace(answer, pieces=[json.dumps(_with(payload, place, said)).encode()])
    else:
        yield replace(answer, pieces=[*answer.pieces, words.encode()])


def marked(answer: Answer) -> Answer:
    """Put the mark into every picture of an answer."""
    pieces = [
        _mark(piece) or _ENCODED.sub(_mark_encoded, piece) if isinstance(piece, bytes) else piece
        for piece in answer.pieces
    ]
    return replace(answer, pieces=pieces)


def has_mark(data: bytes) -> bool:
    """Tell whether a picture has it still."""
    return _MARK in data


def _kind(answer: Answer) -> str:
    return next((value for name, value in answer.headers.items() if name.lower() == "content-type"), "")


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


_Place = tuple[str | int, ...]


def _places(value: Any, at: _Place = ()) -> Iterator[_Place]:
    yield at
    # The others of a list are like its first.
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*at, key))


def _some(places: Iterator[_Place]) -> list[_Place]:
    """Choose, the same each time, where there are more than anybody waits for."""
    found = list(places)
    return found if len(found) <= _MOST_PLACES else random.Random(_MOST_PLACES).sample(found, _MOST_PLACES)


def _at(value: Any, place: _Place) -> Any:
    for key in place:
        value = value[key]
    return value


def _with(value: Any, place: _Place, other: object) -> Any:
    if not place:
        return other
    changed = copy.deepcopy(value)
    _at(changed, place[:-1])[place[-1]] = other
    return changed


def _bent(payload: Any) -> Iterator[tuple[str, Any]]:
    for place in _some(_places(payload)):
        for odd in ODD_VALUES:
            yield f"{'/'.join(map(str, place))} = {str(odd)[:9]!r}", _with(payload, place, odd)
        if place:
            without = copy.deepcopy(payload)
            del _at(without, place[:-1])[place[-1]]
            yield f"without {'/'.join(map(str, place))}", without


def _mark_encoded(found: re.Match[bytes]) -> bytes:
    try:
        data = base64.b64decode(found[0], altchars=b"-_" if b"-" in found[0] or b"_" in found[0] else None)
    except ValueError:
        return found[0]
    picture = _mark(data)
    return base64.b64encode(picture) if picture else found[0]


def _mark(data: bytes) -> bytes:
    """Put a comment into a picture, as its format has them; b"" = it is none."""
    facts = read_facts(data)
    match facts.media_type if facts else "":
        case "image/png":
            chunk = b"tEXt" + _MARK
            end_of_header = 8 + 25
            written = struct.pack(">I", len(_MARK)) + chunk + struct.pack(">I", zlib.crc32(chunk))
            return data[:end_of_header] + written + data[end_of_header:]
        case "image/jpeg":
            return data[:2] + b"\xff\xfe" + struct.pack(">H", len(_MARK) + 2) + _MARK + data[2:]
        case "image/webp":
            chunk = b"MARK" + struct.pack("<I", len(_MARK)) + _MARK + b"\0" * (len(_MARK) % 2)
            return data[:4] + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:] + chunk
        case _:
            return b""

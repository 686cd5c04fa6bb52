"""Requests as they came over the wire, taken apart by a reader that lets nothing odd pass."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from multidict import CIMultiDict

_Value = TypeVar("_Value")
_DISPOSITION = re.compile(r'form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?')
_BOUNDARY = re.compile(r"multipart/form-data; *boundary=\"?([0-9A-Za-z'()+_,./:=? -]{1,70})\"?")
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form. A text field has neither filename nor content type."""

    name: str
    filename: str | None
    content_type: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """What a client sent. `path` is the path alone, `query` what follows it; headers are found in any case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""

    @property
    def media_type(self) -> str:
        """The content type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def json(self) -> Any:
        """The body as JSON.

        :raises ValueError: if it is none, or names a key twice, or holds NaN or Infinity.
        """
        return json.loads(self.body.decode(), object_pairs_hook=_unique, parse_constant=_no_number)

    @property
    def parts(self) -> list[Part]:
        """The parts of a multipart body in their order.

        :raises ValueError: if the body is not framed as RFC 2046 and RFC 7578 say.
        """
        return read_form(self.headers.get("content-type", ""), self.body)

    @property
    def fields(self) -> dict[str, str]:
        """The text fields of a multipart body.

        :raises ValueError: if the body is no form, or names a text field twice.
        """
        return _unique([(part.name, part.data.decode()) for part in self.parts if part.filename is None])

    @property
    def files(self) -> list[Part]:
        """The files of a multipart body in their order.

        :raises ValueError: if the body is no form.
        """
        return [part for part in self.parts if part.filename is not None]


def recorded(method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> RecordedRequest:
    """Keep a request. `path` may have its query behind it."""
    path, _, query = path.partition("?")
    return RecordedRequest(method, path, CIMultiDict(headers), body, query)


def read_form(content_type: str, body: bytes) -> list[Part]:
    """Take a multipart/form-data body apart.

    Sources: RFC 2046 section 5.1.1 for the framing, RFC 7578 for the headers of a part, and the HTML standard for
    the three escapes in a name.

    :raises ValueError: for a preamble, an epilogue, a header that is none of the usual two, or any other oddity.
    """
    found = _BOUNDARY.fullmatch(content_type)
    if not found:
        raise ValueError(f"no form: {content_type!r}")
    delimiter = b"\r\n--" + found[1].encode()
    first, *pieces = (b"\r\n" + body).split(delimiter)
    if first or len(pieces) < 2 or pieces[-1] not in {b"--\r\n", b"--"}:
        raise ValueError("the form does not begin and end with its boundary")
    return [_part(piece) for piece in pieces[:-1]]


def _part(piece: bytes) -> Part:
    head, blank, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not piece.startswith(b"\r\n") or not blank:
        raise ValueError("a part without head and body")
    lines = [line.partition(":") for line in head.decode().split("\r\n")]
    headers = _unique([(name.lower(), value.strip()) for name, _, value in lines])
    disposition = _DISPOSITION.fullmatch(headers.pop("content-disposition", ""))
    content_type = headers.pop("content-type", None)
    if not disposition or headers:
        raise ValueError(f"a part with an unusual head: {head!r}")
    filename = None if disposition[2] is None else _unescaped(disposition[2])
    return Part(_unescaped(disposition[1]), filename, content_type, data)


def _unescaped(text: str) -> str:
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    return text


def _unique(pairs: list[tuple[str, _Value]]) -> dict[str, _Value]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"a name stands twice: {names}")
    return dict(pairs)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")

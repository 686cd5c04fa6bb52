"""Bodies of requests: JSON and forms, sent in pieces and never copied as a whole."""

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import httpx

from imagegen_server.domain.json import JsonObject

_PIECE = 262_144
"""Bytes handed to the socket at once. More would be copied by the event loop while the peer is slow."""


@dataclass(frozen=True, slots=True)
class FormFile:
    """One file of a multipart form."""

    name: str
    filename: str
    content_type: str
    data: bytes


class _Pieces(httpx.AsyncByteStream):
    """Chunks of any size as pieces of a good size: small ones together, large ones cut without a copy."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        gathered = bytearray()
        for chunk in self._chunks:
            if len(gathered) + len(chunk) <= _PIECE // 4:
                gathered += chunk
                continue
            if gathered:
                yield bytes(gathered)
                gathered.clear()
            view = memoryview(chunk)
            for start in range(0, len(view), _PIECE):
                yield cast("bytes", view[start : start + _PIECE])  # both engines write any buffer
        if gathered:
            yield bytes(gathered)


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries. `length` in bytes; `data` is all of it, where it stands in memory in one piece."""

    content_type: str
    length: int
    stream: httpx.AsyncByteStream
    data: bytes = b""


def json_body(content: JsonObject) -> Body:
    """Write compact JSON in UTF-8. Half a surrogate pair, which UTF-8 cannot hold, becomes a question mark.

    :raises ValueError: when a number is NaN or infinite
    """
    text = json.dumps(dict(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = text.encode("utf-8", "replace")
    return Body("application/json", len(data), _Pieces((data,)), data)


def form_body(fields: Sequence[tuple[str, str]], files: Sequence[FormFile]) -> Body:
    """Write multipart/form-data (RFC 7578): the fields, then the files, each in its order, repeated names included."""
    # httpx would gather repeated names of `data`; a file without a filename is a field, and keeps its place.
    parts = [
        *((name, (None, value.encode("utf-8", "replace"), None)) for name, value in fields),
        *((file.name, (file.filename, file.data, file.content_type)) for file in files),
    ]
    form = httpx.Request("POST", "http://localhost/", files=parts)
    assert isinstance(form.stream, httpx.SyncByteStream)
    return Body(form.headers["content-type"], int(form.headers["content-length"]), _Pieces(form.stream))

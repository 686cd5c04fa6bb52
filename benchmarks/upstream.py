"""A provider that costs next to nothing: answers made beforehand, in the form of OpenAI's images API.

`POST /MODE/v1/images/generations` answers with the picture that the prompt names. The modes:

- `plain`: at once.
- `paced`: with "stream": true a preview every 100 ms, the first 100 ms after the request, and the picture 100 ms after
  the last preview.
- `withheld`: all but the last kilobyte; that follows when 64 answers have come so far.
- `late`: everything, 100 ms after the request.
- `silent`: never.

`GET /count` tells how many pictures were asked for. Run as a program it prints one line that ends with its address.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from pictures import SIDE, SIZES, Size, png

PACE_SECONDS = 0.1
WITHHELD_BYTES = 1024
WITHHELD_ANSWERS = 64
SETTLE_SECONDS = 1.0
"""From the moment the last of the answers has left this process to the release: time to read all of them."""

_HTTP_CHUNK = 16 * 1024
"""Bytes in a piece of a stream: what a TLS record holds, so the pieces in which providers' streams arrive."""

_USAGE = {
    "total_tokens": 100,
    "input_tokens": 50,
    "output_tokens": 50,
    "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
}


_FACTS = {"background": "opaque", "output_format": "png", "quality": "high", "size": f"{SIDE}x{SIDE}"}


def _b64(size: Size) -> str:
    return base64.b64encode(png(size)).decode()


def _response(content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@cache
def _whole(size: Size) -> bytes:
    """Make the answer to a request without "stream". The provider indents its JSON."""
    answer = {"created": 1_700_000_000, **_FACTS, "data": [{"b64_json": _b64(size)}], "usage": _USAGE}
    return _response("application/json", json.dumps(answer, indent=2).encode())


@cache
def _streamed(size: Size, previews: int) -> tuple[bytes, ...]:
    """Make the answer to a request with "stream": a part for each event."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [
        _event("image_generation.partial_image", size, {"partial_image_index": index}) for index in range(previews)
    ]
    parts.append(_event("image_generation.completed", size, {"usage": _USAGE}) + b"0\r\n\r\n")
    parts[0] = head + parts[0]
    return tuple(parts)


def _event(kind: str, size: Size, more: dict[str, Any]) -> bytes:
    data = {"type": kind, "b64_json": _b64(size), "created_at": 1_700_000_000, **_FACTS, **more}
    event = f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
    pieces = (event[at : at + _HTTP_CHUNK] for at in range(0, len(event), _HTTP_CHUNK))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


class _Gate:
    """Withheld ends of answers, until enough have come that far."""

    def __init__(self) -> None:
        self._held: list[Callable[[], None]] = []

    def hold(self, release: Callable[[], None]) -> None:
        self._held.append(release)
        if len(self._held) == WITHHELD_ANSWERS:
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._release)

    def _release(self) -> None:
        held, self._held = self._held, []
        for release in held:
            release()


class _Upstream:
    """What all connections share."""

    def __init__(self) -> None:
        self.gate = _Gate()
        self.count = 0


class _Connection(asyncio.Protocol):
    """One connection with one request at a time; bodies have a Content-Length."""

    def __init__(self, upstream: _Upstream) -> None:
        self._upstream = upstream
        self._received = bytearray()
        self._withheld = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # resume_writing then means that everything has left.
        transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        self._received += data
        for path, body in self._requests():
            if path == "/count":
                self._transport.write(_response("text/plain", str(self._upstream.count).encode()))
            else:
                self._answer(path.split("/")[1], json.loads(body))

    def _requests(self) -> Iterator[tuple[str, bytes]]:
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            lines = self._received[:end].decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:])
            end += 4 + int(headers.get("content-length", "0"))
            if len(self._received) < end:
                return
            body = bytes(self._received[self._received.index(b"\r\n\r\n") + 4 : end])
            del self._received[:end]
            yield lines[0].split(" ")[1], body

    def _answer(self, mode: str, request: dict[str, Any]) -> None:
        self._upstream.count += 1
        size = next(size for size in SIZES if size.prompt == request["prompt"])
        if request.get("stream"):
            parts: Sequence[bytes] = _streamed(size, request.get("partial_images") or 0)
        else:
            parts = (_whole(size),)
        match mode:
            case "paced" if request.get("stream"):
                for number, part in enumerate(parts, start=1):
                    asyncio.get_running_loop().call_later(number * PACE_SECONDS, self._transport.write, part)
            case "late":
                asyncio.get_running_loop().call_later(PACE_SECONDS, self._transport.writelines, parts)
            case "silent":
                pass
            case "withheld":
                answer = b"".join(parts)
                self._withheld = answer[-WITHHELD_BYTES:]
                self._transport.write(answer[:-WITHHELD_BYTES])
                if not self._transport.get_write_buffer_size():
                    self.resume_writing()
            case _:
                self._transport.writelines(parts)

    def pause_writing(self) -> None:
        """The kernel took only a part."""

    def resume_writing(self) -> None:
        """Everything has left."""
        if self._withheld:
            withheld, self._withheld = self._withheld, b""
            self._upstream.gate.hold(lambda: self._transport.write(withheld))


async def _serve() -> None:
    for size in SIZES:
        _whole(size)
        for previews in range(4):
            _streamed(size, previews)
    upstream = _Upstream()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(upstream), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"upstream serving on {host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())

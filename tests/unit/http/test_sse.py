"""Server-sent events, rule by rule (WHATWG HTML, section 9.2)."""

import sys
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.sse import MOST_EVENT_BYTES, EventReader, ServerSentEvent, read_events


def _read(*chunks: bytes, most_bytes: int = MOST_EVENT_BYTES) -> list[ServerSentEvent]:
    reader = EventReader(most_bytes)
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [*events, *reader.end()]


def _event(data: bytes, name: str = "") -> ServerSentEvent:
    return ServerSentEvent(name, data)


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x \n\n", b" x "),
        (b"data:\tx\n\n", b"\tx"),
        (b"data:\n\n", b""),
        (b"data: \n\n", b""),
        (b"data\n\n", b""),
        (b"data: a: b\n\n", b"a: b"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data: a\ndata\ndata: b\n\n", b"a\n\nb"),
        (b"data\ndata\n\n", b"\n"),
        (b": comment\ndata: x\n:\n\n", b"x"),
        (b"data: a\n: comment\ndata: b\n\n", b"a\nb"),
        (b"id: 7\nretry: 5\ndata: x\n\n", b"x"),
        (b"dat: a\ndatas: b\nDATA: c\n data: d\nwhatever\ndata: x\n\n", b"x"),
        (b"data: \0\xff\n\n", b"\0\xff"),
        (b"\xef\xbb\xbfdata: x\n\n", b"x"),
        (b"\xef\xbb\xbf\n\ndata: x\n\n", b"x"),
        (b"\n\n\r\r\n\n\ndata: x\n\n\n\n", b"x"),
    ],
)
def test_fields(stream: bytes, data: bytes) -> None:
    """Each rule of a line: colon, one space, comment, several data lines, what is ignored, the BOM."""
    assert _read(stream) == [_event(data)]


@pytest.mark.parametrize("first", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("second", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_line_ends(first: bytes, second: bytes, size: int) -> None:
    """LF, CR and CRLF end a line, mixed and cut anywhere; a CRLF is one."""
    stream = b"event: e" + first + b"data: a" + second + b"data: b" + first + second + b"data: c" + second
    if (first, second) == (b"\r", b"\n"):
        stream = stream.replace(first + second, first * 2)
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert _read(*chunks) == [_event(b"a\nb", "e"), _event(b"c")]


def test_a_cr_ends_its_line_at_once() -> None:
    """An event does not wait for the byte that tells a CR from a CRLF; the LF then ends no further line."""
    reader = EventReader()

    assert list(reader.feed(b"data: a\r\r")) == [_event(b"a")]
    assert list(reader.feed(b"\ndata: b\r")) == []
    assert list(reader.feed(b"\ndata: c\r\n\r")) == [_event(b"b\nc")]


def test_an_event_comes_with_its_blank_line() -> None:
    """Nothing is held back until more comes, and nothing comes before."""
    reader = EventReader()

    assert list(reader.feed(b"data: a\n")) == []
    assert list(reader.feed(b"\nda")) == [_event(b"a")]
    assert list(reader.feed(b"ta: b\n\ndata: c\n\n")) == [_event(b"b"), _event(b"c")]


def test_names() -> None:
    """The last name of an event counts, for that event; invalid UTF-8 in it is replaced."""
    stream = (
        "event: a\nevent: grün 🎨\ndata: 1\n\ndata: 2\n\nevent: x\nevent\ndata: 3\n\n".encode()
        + b"event: \xff!\ndata: 4\n\n"
    )

    assert _read(*(stream[at : at + 1] for at in range(len(stream)))) == [
        _event(b"1", "grün 🎨"),
        _event(b"2"),
        _event(b"3"),
        _event(b"4", "\N{REPLACEMENT CHARACTER}!"),
    ]


def test_without_data_there_is_no_event() -> None:
    """As specified, also with a name, which does not pass on to the next event."""
    assert _read(b"event: ping\n\nid: 1\n\nretry: 1\n\n: x\n\ndata: a\n\n") == [_event(b"a")]


def test_a_bom_counts_only_at_the_beginning() -> None:
    """Elsewhere it belongs to the field's name, which then is none of ours; cut in pieces it is still one."""
    bom = b"\xef\xbb\xbf"

    assert _read(b"data: a\n" + bom + b"data: b\n\n") == [_event(b"a")]
    assert _read(bom + bom + b"data: a\n\n") == []
    assert _read(bom[:1], bom[1:2], bom[2:] + b"data: a\n\n") == [_event(b"a")]
    assert _read(b"data: " + bom) == [_event(bom)]


@pytest.mark.parametrize(
    "tail", [b"data: x", b"data: x\n", b"data: x\r", b"data: x\r\n", b"data: x\n\n", b"x\ndata: x"]
)
def test_the_end_completes_the_last_event(tail: bytes) -> None:
    """Vendors leave out the last newline; an event comes once all the same."""
    assert _read(b"data: a\n\n", tail) == [_event(b"a"), _event(b"x")]


def test_the_end_of_nothing() -> None:
    """An empty stream, and an end that is told twice, give nothing more."""
    reader = EventReader()

    assert list(reader.end()) == []
    assert list(reader.feed(b"")) == []
    assert list(reader.feed(b"data: x")) == []
    assert [*reader.end(), *reader.end()] == [_event(b"x")]


def test_a_reader_that_stops_in_the_middle_loses_nothing() -> None:
    """Events of a chunk that were not asked for come with the next one."""
    reader = EventReader()
    first = next(reader.feed(b"data: 1\n\ndata: 2\n\nda"))
    reader.feed(b"ta: 3\n\n")

    assert [first, *reader.feed(b"data: 4\n\n")] == [_event(str(number).encode()) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("fits", "too_large"),
    [
        (b"data: 1234\n\n", b"data: 12345\n\n"),
        (b"data: 1234", b"data: 12345"),
        (b"data: 1\ndata: 2\n\n", b"data: 1\ndata: 2\ndata: 3\ndata: 4\n\n"),
        (b"data:1\n" + b"\n" + b"data:2\n", b"data\n" * 9),
        (b":234567890\n" * 9, b":2345678901"),
        (b"event:1234\n\n" * 9, b"event:1234\ndata:12\n"),
        (b"x" * 10, b"\xef\xbb\xbf" + b"x" * 8),
    ],
    ids=["data", "no end", "lines", "empty lines", "comment", "name", "no colon"],
)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_an_event_has_a_largest_size(fits: bytes, too_large: bytes, size: int) -> None:
    """Data, name and the open line together; wherever the stream was cut; what was billed is unknown."""
    _read(fits, most_bytes=10)
    with pytest.raises(ImageError, match="larger than 10 bytes") as caught:
        _read(*(too_large[at : at + size] for at in range(0, len(too_large), size)), most_bytes=10)

    assert caught.value.reason is Reason.INVALID_RESPONSE
    assert caught.value.billed is Billed.UNKNOWN


@pytest.mark.parametrize("start", [b"", b"data: 1\n", b"event: e\n", b"data: a\n\n"])
def test_an_open_line_is_refused_before_its_end(start: bytes) -> None:
    """Memory is bounded also against a line that never ends."""
    reader = EventReader(10)
    list(reader.feed(start + b"1234567"))

    with pytest.raises(ImageError, match="larger than 10 bytes"):
        list(reader.feed(b"8901"))


def test_events_before_one_that_is_too_large_come_out() -> None:
    """A finished image in the same chunk is not lost, and the reader does not go on behind the fault."""
    reader = EventReader(10)
    events = reader.feed(b"data: a\n\ndata: 12345\n\ndata: b\n\n")

    assert next(events) == _event(b"a")
    for again in (events, reader.feed(b"data: c\n\n"), reader.end()):
        with pytest.raises(ImageError):
            list(again)


class _Counted(bytearray):
    """Counts the bytes that are searched, sliced and moved; refuses whatever else could look at many."""

    looked_at = 0

    def __getattribute__(self, name: str) -> Any:
        if name not in {"find", "looked_at"}:
            pytest.fail(f"bytearray.{name} is not counted")
        return super().__getattribute__(name)

    def find(self, *args: Any) -> int:
        """Count up to what was found, or to the end."""
        start, end = [*args, 0, sys.maxsize][1:3] if len(args) == 1 else [*args, sys.maxsize][1:3]
        at = super().find(*args)
        self.looked_at += (at + 1 if at >= 0 else min(end, len(self))) - start
        return at

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        self.looked_at += len(value) if isinstance(key, slice) else 1
        return value

    def __delitem__(self, key: Any) -> None:
        before = len(self)
        super().__delitem__(key)
        if len(self) < before:
            self.looked_at += len(self) - (key.start or 0)


def _looked_at(chunks: Iterable[bytes]) -> tuple[int, list[ServerSentEvent]]:
    reader = EventReader()
    reader._buffer = counted = _Counted()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    events.extend(reader.end())
    assert reader._buffer is counted
    return counted.looked_at, events


def test_a_long_line_is_looked_at_once() -> None:
    """Eight thousand pieces of one line: a search that starts over would look at thousands of times the line."""
    size = 8_000_000
    looked_at, events = _looked_at([b"data: ", *[b"x" * 1000] * (size // 1000), b"\r\n\r\n"])

    assert events == [_event(b"x" * size)]
    assert looked_at < 3 * size


def test_a_long_line_that_means_nothing_is_not_copied() -> None:
    """Searched for both line ends and the colon, and dropped."""
    size = 1_000_000
    looked_at, events = _looked_at([b"x" * size, b"\ndata: x\n\n"])

    assert events == [_event(b"x")]
    assert looked_at < 3.5 * size


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("size", [10_000_000, 4096])
def test_many_events_are_looked_at_once(end: bytes, size: int) -> None:
    """In one chunk or in many: neither the search for a line end that never comes nor what is left multiplies."""
    stream = (b"event: e" + end + b"data: x" + end + end) * 20_000
    looked_at, events = _looked_at(stream[at : at + size] for at in range(0, len(stream), size))

    assert events == [_event(b"x", "e")] * 20_000
    assert looked_at < 6 * len(stream)


def test_a_large_event_is_copied_once() -> None:
    """The growing buffer, an eighth larger than it must be, and the data: no third copy of tens of MB."""
    size, piece = 16_000_000, b"x" * 16_000
    reader = EventReader()
    tracemalloc.start()
    try:
        for chunk in [b"data: ", *[piece] * (size // len(piece))]:
            assert list(reader.feed(chunk)) == []
        (event,) = reader.feed(b"\n\n")
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(event.data) == size
    assert peak < 2.5 * size
    assert left < 1.1 * size


class _Chunks:
    """A source that tells whether somebody closed it."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = iter(chunks)
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


async def test_read_events() -> None:
    """The events of all chunks, with what the end completes."""
    chunks = _Chunks(b"data: 1\n\nda", b"", b"ta: 2\n\nevent: e\ndata: 3")

    assert [event async for event in read_events(chunks)] == [_event(b"1"), _event(b"2"), _event(b"3", "e")]
    assert not chunks.closed


async def test_read_events_may_be_left() -> None:
    """Closing ends it quietly in the middle of a chunk; the source is its owner's to close and to read on."""
    chunks = _Chunks(b"data: 1\n\ndata: 2\n\n", b"rest")
    events = read_events(chunks)
    assert await anext(events) == _event(b"1")

    await events.aclose()

    assert [event async for event in events] == []
    assert not chunks.closed
    assert await anext(aiter(chunks)) == b"rest"


async def test_a_stream_that_breaks_gives_no_broken_event() -> None:
    """What the source raises passes through; what it cut short is not taken for an event."""
    fault = ImageError(Reason.NETWORK_ERROR, "gone")
    events = read_events(_Chunks(b"data: 1\n\ndata: 2\n", fault))
    assert await anext(events) == _event(b"1")

    with pytest.raises(ImageError) as caught:
        await anext(events)

    assert caught.value is fault


async def test_read_events_has_a_largest_size() -> None:
    """The limit is handed on to the reader."""
    events = read_events(_Chunks(b"data: 1\n\n", b"data: 12345"), most_bytes=10)
    assert await anext(events) == _event(b"1")

    with pytest.raises(ImageError, match="larger than 10 bytes"):
        await anext(events)

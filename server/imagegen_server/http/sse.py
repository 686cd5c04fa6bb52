"""Server-sent events out of bytes: WHATWG HTML, section 9.2 "Server-sent events" (parsing: 9.2.5, 9.2.6).

For events of tens of MB in one line: each byte is searched once for each kind of line end, however it was cut, and
copied once out of the buffer.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass

from imagegen_server.domain.errors import ImageError, Reason

MOST_EVENT_BYTES = 100 * 1024 * 1024
"""The largest event by default: base64 of the largest image, 64 MiB, and what stands around it."""

_LF, _CR = b"\n", b"\r"
_BOM = b"\xef\xbb\xbf"
_LONGEST_FIELD = len(b"event")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `name` is "" if the stream named none; `data` is as it came, lines joined by LF."""

    name: str
    data: bytes


class _Search:
    """Where the next `mark` in a growing buffer is. Looks at no byte twice."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._found = False
        self._at = 0
        """Where the mark is if found, else up to where there is none."""

    def next(self, buffer: bytearray, start: int) -> int:
        """Give the first position from `start` on, or the buffer's length. `start` never falls."""
        if not self._found or self._at < start:
            at = buffer.find(self._mark, max(self._at, start))
            self._found = at >= 0
            self._at = at if self._found else len(buffer)
        return self._at

    def shift(self, count: int) -> None:
        """Follow a buffer that lost its first `count` bytes."""
        self._at -= count


class EventReader:
    """Takes a stream in pieces of any size and gives its events as soon as their blank line is there.

    `id` and `retry` are ignored: nothing reconnects here. An event without a data line is none, named or not.
    """

    def __init__(self, most_bytes: int = MOST_EVENT_BYTES) -> None:
        """Start at the beginning of a stream. `most_bytes` bounds the data and name of an event with its open line."""
        self._most_bytes = most_bytes
        self._buffer = bytearray()
        self._start = 0
        """Where the first line that was not read yet starts in the buffer."""
        self._lf, self._cr = _Search(_LF), _Search(_CR)
        self._after_cr = False
        self._at_beginning = True
        self._name = b""
        self._data: bytes | bytearray | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Take the next bytes and give the events that they complete, in order.

        The bytes are taken at once, the events are read as the iterator is.

        :raises ImageError: INVALID_RESPONSE from the iterator, behind the events before it, when an event is larger
            than `most_bytes`; again from every later one.
        """
        self._buffer += chunk
        return self._read()

    def end(self) -> Iterator[ServerSentEvent]:
        """Give the event that the end of the stream left open, if any.

        More than the specification, which drops it: vendors leave out the last blank line or newline. So an event
        that was cut short also comes out, and whoever reads its data finds that it is not whole.

        :raises ImageError: as `feed`.
        """
        return self.feed(_LF + _LF)

    def _read(self) -> Iterator[ServerSentEvent]:
        try:
            while (end := self._line_end()) < len(self._buffer):
                event = self._take_line(end)
                if event is not None:
                    yield event
            self._check_size(end)
        finally:
            # Once for all lines of a chunk: what is left to move is at most the last chunk.
            del self._buffer[: self._start]
            self._lf.shift(self._start)
            self._cr.shift(self._start)
            self._start = 0

    def _line_end(self) -> int:
        """Where the current line ends; the buffer's length if its end has not come."""
        if self._after_cr and self._start < len(self._buffer):
            # A CR ended its line at once, also as the last byte of a chunk; the LF of a CRLF ends no other.
            self._after_cr = False
            if self._buffer[self._start] == _LF[0]:
                self._start += 1
        return min(self._lf.next(self._buffer, self._start), self._cr.next(self._buffer, self._start))

    def _check_size(self, end: int) -> None:
        held = len(self._name) + (len(self._data) if self._data else 0)
        if held + end - self._start > self._most_bytes:
            raise ImageError(
                Reason.INVALID_RESPONSE,
                f"an event of the provider's stream is larger than {self._most_bytes} bytes",
            )

    def _take_line(self, end: int) -> ServerSentEvent | None:
        self._check_size(end)
        start, self._start = self._start, end + 1
        self._after_cr = self._buffer[end] == _CR[0]
        if self._at_beginning:
            self._at_beginning = False
            if self._buffer[start : start + len(_BOM)] == _BOM:
                start += len(_BOM)
        if start == end:
            return self._dispatch()
        self._take_field(start, end)
        return None

    def _take_field(self, start: int, end: int) -> None:
        colon = self._buffer.find(b":", start, end)
        if colon < 0:
            colon = end
        # A line that is one long field name or comment is not copied only to be ignored.
        field = self._buffer[start:colon] if colon - start <= _LONGEST_FIELD else b""
        value = colon + 1
        if value < end and self._buffer[value] == b" "[0]:
            value += 1
        if field == b"event":
            self._name = bytes(self._buffer[value:end])
        elif field == b"data":
            with memoryview(self._buffer) as view, view[value:end] as line:
                self._add_data(line)

    def _add_data(self, line: memoryview) -> None:
        if self._data is None:
            self._data = bytes(line)
            return
        if isinstance(self._data, bytes):
            # One array and no list of lines: millions of tiny lines must not take many times their size.
            self._data = bytearray(self._data)
        self._data += _LF
        self._data += line

    def _dispatch(self) -> ServerSentEvent | None:
        name, data = self._name, self._data
        self._name, self._data = b"", None
        return None if data is None else ServerSentEvent(name.decode(errors="replace"), bytes(data))


async def read_events(
    chunks: AsyncIterator[bytes], most_bytes: int = MOST_EVENT_BYTES
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield the events of a stream. `chunks` stays the caller's to close.

    What `chunks` raises passes through, and the event that it cut short does not come.

    :raises ImageError: INVALID_RESPONSE when an event is larger than `most_bytes`.
    """
    reader = EventReader(most_bytes)
    async for chunk in chunks:
        for event in reader.feed(chunk):
            yield event
    for event in reader.end():
        yield event

"""Server-sent events that hypothesis makes up."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.sse import EventReader, ServerSentEvent

_TOKENS = [
    *[b"\n", b"\r", b"\r\n", b":", b" ", b"data", b"data: ", b"data:", b"event: ", b"event", b"id: 1", b"retry: 1"],
    *[b"\xef\xbb\xbf", "🎨".encode(), b"\xff", b"\0", b"x", b"xxxxxxxxxx", b": comment", b"\n\n", b"\r\n\r\n"],
]
_STREAMS = st.lists(st.sampled_from(_TOKENS) | st.binary(max_size=8), max_size=40).map(b"".join)
_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
_NOISE = st.sampled_from([b": comment", b":", b"id: 1", b"retry: 100", b"unknown", b"dat: x", b"datax: y"])


def _cut(stream: bytes, places: list[int]) -> Iterator[bytes]:
    at = 0
    for place in sorted(place % (len(stream) + 1) for place in places):
        yield stream[at:place]
        at = place
    yield stream[at:]


def _outcome(chunks: Iterator[bytes], most_bytes: int) -> tuple[list[ServerSentEvent], Reason | None]:
    """Give the events, and why the reader then refused. Only an ImageError is a refusal."""
    reader = EventReader(most_bytes)
    events: list[ServerSentEvent] = []
    try:
        for chunk in chunks:
            events.extend(reader.feed(chunk))
        events.extend(reader.end())
    except ImageError as error:
        return events, error.reason
    return events, None


@given(_STREAMS, st.lists(st.integers(0, 1000), max_size=20), st.sampled_from([8, 20, 1000]))
def test_where_a_stream_is_cut_changes_nothing(stream: bytes, places: list[int], most_bytes: int) -> None:
    """The same events, and the same refusal behind the same event, whole, in pieces and byte by byte."""
    whole = _outcome(iter([stream]), most_bytes)

    assert _outcome(_cut(stream, places), most_bytes) == whole
    assert _outcome((stream[at : at + 1] for at in range(len(stream))), most_bytes) == whole


@given(st.lists(st.binary(max_size=200), max_size=10), st.sampled_from([0, 5, 1000]))
def test_any_bytes_are_survived(chunks: list[bytes], most_bytes: int) -> None:
    """No bytes raise anything but ImageError, and nothing larger than allowed comes out."""
    events, refused = _outcome(iter(chunks), most_bytes)

    assert refused in {None, Reason.INVALID_RESPONSE}
    assert all(len(event.data) + len(event.name) <= most_bytes for event in events)


@given(st.data())
def test_events_that_are_written_are_read(data: st.DataObject) -> None:
    """Whatever the line ends, the spaces and the lines between that mean nothing."""
    text = st.binary(max_size=20).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
    names = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=5)
    written = data.draw(st.lists(st.tuples(names, st.lists(text, min_size=1, max_size=4)), max_size=5))
    lines = []
    for name, values in written:
        block = [
            b"data:" + (b" " if value.startswith(b" ") else data.draw(st.sampled_from([b"", b" "]))) + value
            for value in values
        ]
        if name:
            block.insert(data.draw(st.integers(0, len(block))), b"event: " + name.encode())
        for noise in data.draw(st.lists(_NOISE, max_size=3)):
            block.insert(data.draw(st.integers(0, len(block))), noise)
        lines += [*block, b""]
    ends = [data.draw(_ENDS) for _ in lines]
    # A CR directly before an empty line's LF would be read as one CRLF.
    stream = b"".join(
        line + (b"\r\n" if end == b"\r" and following == b"" else end)
        for line, end, following in zip(lines, ends, [*lines[1:], "none"][: len(lines)], strict=True)
    )

    events, refused = _outcome(_cut(stream, data.draw(st.lists(st.integers(0, 1000), max_size=8))), 10_000)

    assert refused is None
    assert events == [ServerSentEvent(name, b"\n".join(values)) for name, values in written]

"""Our reader against the one of the official openai package, where both are meant to do the same.

Where they differ ours follows the specification, but for the end; each difference is a test below, so that the
streams compared leave out these and nothing else.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.http.sse import EventReader

from tests.support.tools import require_package

_TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
_DATA = st.builds("data{}{}".format, st.sampled_from([":", ": ", ":  "]), _TEXT) | st.just("data")
_NAME = st.builds("event{}{}".format, st.sampled_from([":", ": ", ":  "]), _TEXT) | st.just("event")
_RETRY = st.sampled_from(["retry: 100", "retry: x", "retry"])
_NO_FIELD = st.builds(":{}".format, _TEXT) | st.builds("{}{}".format, st.sampled_from(["dat", "Data", " data"]), _TEXT)
_EVENT = st.tuples(
    st.lists(_DATA | _NAME | _RETRY | _NO_FIELD, max_size=4),
    _DATA,
    st.lists(_DATA | _NAME | _RETRY | _NO_FIELD, max_size=4),
).map(lambda parts: [*parts[0], parts[1], *parts[2], ""])
_BLOCK = _EVENT | st.lists(_NO_FIELD, max_size=3).map(lambda lines: [*lines, ""])
_LINES = st.lists(_BLOCK, max_size=6).map(lambda blocks: [line for block in blocks for line in block])


@pytest.fixture(scope="module")
def decoder() -> Any:
    """The class of the official decoder."""
    return require_package("openai")._streaming.SSEDecoder


def _ours(*chunks: bytes) -> list[tuple[str, str]]:
    reader = EventReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [(event.name, event.data.decode()) for event in [*events, *reader.end()]]


def _theirs(decoder: Any, *chunks: bytes) -> list[tuple[str, str]]:
    return [(event.event or "", event.data) for event in decoder().iter_bytes(iter(chunks))]


@given(_LINES, st.data())
def test_the_same_events(decoder: Any, lines: list[str], data: st.DataObject) -> None:
    """Every line end, comments, several data lines, names, retry, unknown fields, cut anywhere."""
    ends = data.draw(st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=len(lines), max_size=len(lines)))
    stream = "".join(line + end for line, end in zip(lines, ends, strict=True)) + "\n\n"
    raw = stream.encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=10)))
    chunks = [raw[start:end] for start, end in zip([0, *places], [*places, len(raw)], strict=True)]

    assert _ours(*chunks) == _theirs(decoder, *chunks)


@pytest.mark.parametrize(
    ("stream", "ours", "theirs"),
    [
        pytest.param(b"data: x", [("", "x")], [], id="ours completes the last event, the specification drops it"),
        pytest.param(b"data: x\n", [("", "x")], [], id="the same with a newline and no blank line"),
        pytest.param(b"event: ping\n\n", [], [("ping", "")], id="theirs gives an event that has a name and no data"),
        pytest.param(b"retry: 1\n\n", [], [("", "")], id="theirs gives an event that has only retry"),
        pytest.param(b"id: 1\n\n", [], [("", "")], id="theirs gives an event that has only an id"),
        pytest.param(
            b"id: 1\ndata: x\n\n\n", [("", "x")], [("", "x"), ("", "")], id="and behind an id one for every blank line"
        ),
        pytest.param(b"\xef\xbb\xbfdata: x\n\n", [("", "x")], [], id="theirs knows no BOM"),
    ],
)
def test_where_they_differ(
    decoder: Any, stream: bytes, ours: list[tuple[str, str]], theirs: list[tuple[str, str]]
) -> None:
    """Each difference that the comparison leaves out is there."""
    assert _ours(stream) == ours
    assert _theirs(decoder, stream) == theirs


@pytest.mark.parametrize("stream", [b"data: \xff\n\n", b"event: \xff\ndata: x\n\n", b": \xff\n"])
def test_they_refuse_invalid_utf8(decoder: Any, stream: bytes) -> None:
    """The last difference: data stays bytes here and a name is repaired, as specified; theirs raises."""
    with pytest.raises(UnicodeDecodeError):
        _theirs(decoder, stream)

    list(EventReader().feed(stream))

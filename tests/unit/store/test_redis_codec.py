"""Values of the domain, written for Redis and read again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.events import Broken, Finished, ImageFinished, LogEvent, Phase, Progress, Started
from imagegen_server.domain.result import Cost, TokenKinds, Usage, Warning, WarningReason
from imagegen_server.generation.store import RequestRecord
from imagegen_server.store.redis.codec import decode, encode

from tests.support.values import attempt, break_off, failed, finished, generated, preview, result

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)

USAGE = Usage(1, 2, None, Cost(0.25, "USD"), TokenKinds(output_image=7))
EVENTS: list[LogEvent] = [
    Started("gen_a_b", "req_a_b", "test/any", (Warning("options.seed", WarningReason.IGNORED, "is not known"),)),
    Progress(Phase.RETRYING, 1, 0.5, 3, 9, 2, 1.5, "test/any", "why"),
    Finished(result(generated(seed=5, metadata={"test": {"a": [1, {"b": None}]}}), usage=USAGE, attempts=(attempt(),))),
]


@pytest.mark.parametrize("event", EVENTS)
def test_events_come_back_as_they_were(event: LogEvent) -> None:
    """Every field, of whatever type."""
    assert decode(encode(event)) == event


def test_pictures_go_another_way() -> None:
    """Their bytes are not written; all that is told of them is."""
    assert decode(encode(finished())) == ImageFinished(generated(), b"")
    assert decode(encode(preview())) == preview(data=b"")


def test_errors_come_back_with_all_they_tell() -> None:
    """Also what was said of the bill, and whether it was said at all."""
    error = ImageError(Reason.INVALID_REQUEST, "wrong", violations=[Violation("a", "is b")], metadata={"k": "v"})
    again = decode(encode(break_off(error)))

    assert isinstance(again, Broken)
    assert vars(again.error) == vars(error)
    assert again.failure.generation_id == failed().generation_id


@given(JSON)
def test_nothing_that_others_wrote_is_taken_for_something_else(said: object) -> None:
    """Whatever JSON a provider answers, lists that look like ours among it."""
    assert decode(encode({"said": said})) == {"said": said}


def test_fields_of_another_version_do_no_harm() -> None:
    """A process of the next version may write more, and one of the last wrote less."""
    assert decode('["Progress",{"phase":["Phase","SENDING"],"colour":"red"}]') == Progress(Phase.SENDING)


@pytest.mark.parametrize("text", ['["Nobody",{}]', "[]", '["Progress"]', '["Phase","NOBODY"]', "{"])
def test_what_is_none_of_ours_is_refused(text: str) -> None:
    """By one error, whatever is wrong with it."""
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def test_records_and_times_come_back() -> None:
    """Sets and moments are no JSON."""
    record = RequestRecord("gen_a_b", frozenset({"a", "b"}))
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

    assert (decode(encode(record)), decode(encode(moment))) == (record, moment)

"""What every answer of Google's must become, whichever of its interfaces said it."""

from collections.abc import Sequence

import pytest
from imagegen_server.domain.events import Broken, Finished, LogEvent, PreviewShown

from .wire import WireFixture


def check_meaning(fixture: WireFixture, events: Sequence[LogEvent]) -> None:
    """Hold what came of an answer against what its file says.

    :raises AssertionError: it is something else
    """
    expect, last = fixture.expect, events[-1]
    assert isinstance(last, Finished | Broken)
    assert sum(isinstance(event, PreviewShown) for event in events) == expect["previews"]
    if isinstance(last, Finished):
        _check_pictures(fixture, last)
        return
    error = last.error
    assert expect["images"] == 0
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert (error.billed.name.lower(), error.stage) == (expect["billed"], expect.get("stage", ""))
    assert error.retry_after == pytest.approx(expect["retry_after"])
    if "param" in expect:
        assert [violation.field for violation in error.violations] == [expect["param"]]
    if fixture.status != 200:
        assert error.http_status == fixture.status


def _check_pictures(fixture: WireFixture, last: Finished) -> None:
    expect, result = fixture.expect, last.result
    assert len(result.images) == expect["images"] == 1
    assert [image.image.facts.media_type for image in result.images] == expect.get("media_types", ["image/png"])
    if "usage" in expect:
        assert result.usage is not None
        told = {"input_tokens": result.usage.input_tokens, "output_tokens": result.usage.output_tokens}
        assert told == (expect["usage"] or dict.fromkeys(told))
    told_id = "AbC123" if "AbC123" in str(fixture.content) else ""
    assert result.attempts[0].provider_request_id == told_id

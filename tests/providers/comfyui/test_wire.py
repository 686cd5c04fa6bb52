"""What every answer of the server becomes. The answers stand in wire/."""

from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished

from tests.support.comfyui_provider import MODEL, comfyui_workshop
from tests.support.comfyui_wire import PROMPT_ID, answers_of
from tests.support.generation import drawing
from tests.support.wire import WireFixture, wire_fixtures


@pytest.mark.parametrize("fixture", wire_fixtures("comfyui"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_server_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, bill, wait, fields, words, picture and facts are those that the shape's own file says."""
    expect = fixture.expect
    async with comfyui_workshop() as made:
        made.fake.answer_next(*answers_of(fixture, made.fake))
        last = (await made.workshop.run(drawing(MODEL)))[-1]
    ended = last.result if isinstance(last, Finished) else last.failure if isinstance(last, Broken) else None

    assert ended is not None
    assert len(made.fake.queued) == 1
    assert ended.attempts[0].provider_request_id == (PROMPT_ID if fixture.content["step"] == "history" else "")
    assert ended.usage is None or ended.usage.cost is None
    if isinstance(last, Finished):
        (image,) = last.result.images
        told = last.result.metadata["comfyui"]
        assert image.metadata["comfyui"] == expect["facts"]
        assert told.get("execution_seconds") == expect.get("seconds", told.get("execution_seconds"))
        assert told.get("pictures_left") == expect.get("left")
        assert [note.message for note in last.result.warnings] == ([expect["warns"]] if "warns" in expect else [])
    else:
        assert expect["images"] == 0
        assert isinstance(last, Broken)
        check_error(last.error, expect, fixture.status)


def check_error(error: ImageError, expect: dict[str, Any], status: int) -> None:
    """Hold an error against what a file says of it."""
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert error.billed.name.lower() == expect["billed"]
    assert error.retry_after == expect["retry_after"]
    assert [violation.field for violation in error.violations] == expect["params"]
    assert expect["says"] in error.message
    if status != 200:
        assert error.http_status == status
    elif "http_status" in expect:
        assert error.http_status == expect["http_status"]

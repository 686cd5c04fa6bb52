"""What every answer of such servers becomes. The answers stand in wire/."""

from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.result import ImageResult
from imagegen_server.domain.task import Wish
from imagegen_server.providers.sdapi import SdapiSettings

from tests.support.generation import drawing, editing
from tests.support.pictures import png
from tests.support.sdapi_provider import UNASKED, sdapi_workshop
from tests.support.wire import WireFixture, wire_fixtures

PROMPT = "a lighthouse at dusk"


@pytest.mark.parametrize("fixture", wire_fixtures("sdapi"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_server_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, bill, wait, fields, seeds, facts and pictures are those that the shape's own file says."""
    expect = fixture.expect
    async with sdapi_workshop(settings=SdapiSettings(batch_size=4), pace=UNASKED) as made:
        made.fake.answer_next(replace(fixture.answer(), checks=False))
        last = (await made.workshop.run(asked_by(fixture)))[-1]

    (sent,) = made.fake.makings
    assert made.fake.looks == []
    assert isinstance(last, Finished | Broken)
    if isinstance(last, Finished):
        check_result(last.result, expect, sent.json["seed"])
    else:
        assert expect["images"] == 0
        check_error(last.error, expect, fixture.status)


def asked_by(fixture: WireFixture) -> Wish:
    """Wish for what a fixture answers."""
    model = f"sdapi/{fixture.content.get('model', 'default')}"
    if fixture.operation == "edit":
        return replace(editing(png(16, 16), model=model), prompt=PROMPT)
    return replace(drawing(model, count=fixture.count), prompt=PROMPT)


def check_result(result: ImageResult, expect: dict[str, Any], sent_seed: int) -> None:
    """Hold pictures against what a file says of them; a seed that is not told is the one that was sent."""
    images = result.images
    assert [image.image.facts.media_type for image in images] == expect["media_types"]
    assert [image.seed for image in images] == [sent_seed if seed is None else seed for seed in expect["seeds"]]
    assert [image.revised_prompt for image in images] == [expect.get("revised_prompt")] * expect["images"]
    assert [failure.error.reason.name for failure in result.failures] == expect.get("failures", [])
    assert result.usage is None or result.usage.cost is None
    facts, told = images[0].metadata.get("sdapi", {}), result.metadata.get("sdapi", {})
    assert facts == expect.get("facts", facts)
    assert told == expect.get("told", told)
    assert [warning.field for warning in result.warnings] == expect.get("warns", [])
    assert result.model == expect.get("by", result.model)


def check_error(error: ImageError, expect: dict[str, Any], status: int) -> None:
    """Hold an error against what a file says of it."""
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert error.billed.name.lower() == expect["billed"]
    assert error.retry_after == expect["retry_after"]
    assert [violation.field for violation in error.violations] == expect["params"]
    assert expect.get("says", "") in error.message
    if status != 200:
        assert error.http_status == status

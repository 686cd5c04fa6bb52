"""Holds what an adapter that speaks as OpenAI makes of a recorded answer against what the answer's file says."""

from dataclasses import replace

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.result import ImageResult
from imagegen_server.domain.task import Operation, Options, Wish

from .generation import Workshop, as_input
from .pictures import png
from .vendor import FakeVendor
from .wire import WireFixture


def wish_of(fixture: WireFixture, model: str) -> Wish:
    """Ask for what a fixture answers."""
    edits = fixture.operation.endswith("edit")
    return Wish(
        operation=Operation.EDIT if edits else Operation.GENERATE,
        model=model,
        prompt="a lighthouse at dusk",
        options=Options(count=fixture.count, preview_count=fixture.partial_images),
        images=(as_input(png(16, 16)),) if edits else (),
    )


async def check_answer(
    fixture: WireFixture, workshop: Workshop, fake: FakeVendor, model: str
) -> ImageResult | ImageError:
    """Say the answer to a wish for it, and check all that every fixture tells. `expect.param` is our caller's field."""
    expect = fixture.expect
    fake.answer_next(replace(fixture.answer(), checks=False))
    events = await workshop.run(wish_of(fixture, model))
    last = events[-1]
    assert isinstance(last, Finished | Broken)
    assert len([call for call in fake.requests if call.method == "POST"]) == 1
    assert sum(isinstance(event, PreviewShown) for event in events) == expect.get("previews", 0)
    ended = last.result if isinstance(last, Finished) else last.failure
    if "request_id" in expect:
        assert ended.attempts[0].provider_request_id == expect["request_id"]
    cost = ended.usage.cost if ended.usage else None
    assert (cost.amount if cost else None) == (pytest.approx(expect["cost"]) if "cost" in expect else None)
    if isinstance(last, Broken):
        assert expect["images"] == 0
        _check_error(last.error, fixture)
        return last.error
    result = last.result
    assert len(result.images) == expect["images"]
    assert [failure.error.reason.name for failure in result.failures] == expect.get("failures", [])
    if "media_types" in expect:
        assert [image.image.facts.media_type for image in result.images] == expect["media_types"]
    if "revised_prompt" in expect:
        assert result.images[0].revised_prompt == expect["revised_prompt"]
    if "usage" in expect:
        assert result.usage is not None
        told = {"input_tokens": result.usage.input_tokens, "output_tokens": result.usage.output_tokens}
        assert told == (expect["usage"] or dict.fromkeys(told))
    if "image_metadata" in expect:
        (metadata,) = result.images[0].metadata.values()
        assert metadata == expect["image_metadata"]
    if "metadata" in expect:
        (said,) = result.metadata.values()
        assert said == expect["metadata"]
    return result


def _check_error(error: ImageError, fixture: WireFixture) -> None:
    expect = fixture.expect
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert (error.billed.name.lower(), error.stage) == (expect["billed"], expect.get("stage", ""))
    assert error.retry_after == pytest.approx(expect["retry_after"])
    assert [violation.field for violation in error.violations] == ([expect["param"]] if "param" in expect else [])
    if "says" in expect:
        assert expect["says"] in error.message
    if fixture.status != 200:
        assert error.http_status == fixture.status

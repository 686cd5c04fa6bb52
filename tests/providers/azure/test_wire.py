"""What every documented and every reported answer of Azure becomes. The answers stand in wire/."""

from dataclasses import replace

import pytest
from imagegen_server.domain.events import Broken, ImageFinished, PreviewShown

from tests.support.azure_provider import MODEL, azure_workshop
from tests.support.openai_wire_answers import check_answer, wish_of
from tests.support.wire import WireFixture, wire_fixtures


@pytest.mark.parametrize("fixture", wire_fixtures("azure"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, images and previews are those that the shape's own file says."""
    async with azure_workshop() as made:
        await check_answer(fixture, made.workshop, made.fake, MODEL)


@pytest.mark.parametrize("fixture", wire_fixtures("openai"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_openai_is_read_here_too(fixture: WireFixture) -> None:
    """Whatever the older vendor says in the same interface: as many images and previews, or the same reason."""
    expect = fixture.expect
    async with azure_workshop() as made:
        made.fake.answer_next(replace(fixture.answer(), checks=False))
        events = await made.workshop.run(wish_of(fixture, MODEL))
    last = events[-1]

    assert sum(isinstance(event, ImageFinished) for event in events) == expect["images"]
    assert sum(isinstance(event, PreviewShown) for event in events) == expect["previews"]
    assert (last.error.reason.name if isinstance(last, Broken) else None) == expect.get("reason")

"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from dataclasses import replace

import pytest
from imagegen_server.domain.task import Operation, Options, Wish

from tests.support.google_provider import MODEL, google_workshop
from tests.support.google_wire import check_meaning
from tests.support.wire import WireFixture, wire_fixtures


@pytest.mark.parametrize("fixture", wire_fixtures("google"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, images and previews are those that the shape's own file says."""
    wish = Wish(Operation.GENERATE, MODEL, "a lighthouse at dusk", Options(preview_count=fixture.partial_images))
    async with google_workshop() as made:
        made.fake.answer_next(replace(fixture.answer(), checks=False))
        check_meaning(fixture, await made.workshop.run(wish))

    assert len(made.fake.requests) == 1

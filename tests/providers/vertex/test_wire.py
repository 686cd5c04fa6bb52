"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from dataclasses import replace

import pytest
from imagegen_server.domain.task import Operation, Options, Wish

from tests.support.google_wire import check_meaning
from tests.support.vertex_provider import MODEL, vertex_workshop
from tests.support.wire import WireFixture, wire_fixtures

SHARED = [fixture for fixture in wire_fixtures("google") if "params.google" not in str(fixture.expect)]
"""What the Gemini API says means the same here."""


@pytest.mark.parametrize("fixture", [*wire_fixtures("vertex"), *SHARED], ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, images and previews are those that the shape's own file says."""
    wish = Wish(Operation.GENERATE, MODEL, "a lighthouse at dusk", Options(preview_count=fixture.partial_images))
    async with vertex_workshop() as made:
        made.fake.answer_next(replace(fixture.answer(), checks=False))
        check_meaning(fixture, await made.workshop.run(wish))

    assert len(made.fake.requests) == 1

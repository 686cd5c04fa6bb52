"""What the answers of each server become. They stand in the folder of its preset."""

from typing import get_args

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.providers.openai_compatible import CompatibleSettings
from imagegen_server.providers.openai_compatible.settings import PRESETS, Dialect

from tests.support.openai_compatible_provider import compatible_workshop
from tests.support.openai_wire_answers import check_answer
from tests.support.wire import WireFixture, wire_fixtures

FIXTURES = [
    pytest.param(dialect, fixture, id=f"{dialect}-{fixture.name}")
    for dialect in PRESETS
    for fixture in wire_fixtures(f"openai_compatible/{dialect}")
]


@pytest.mark.parametrize(("dialect", "fixture"), FIXTURES)
async def test_an_answer_becomes_what_it_means(dialect: Dialect, fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, cost, images and previews are those that the shape's own file says."""
    settings = CompatibleSettings(dialect, streaming=fixture.operation.startswith("stream") or None)
    async with compatible_workshop("sglang" if dialect == "openai" else dialect, settings) as made:
        result = await check_answer(fixture, made.workshop, made.fake, made.model)

    if not isinstance(result, ImageError):
        assert result.images[0].seed == fixture.expect.get("seed")


def test_every_preset_has_answers() -> None:
    """At least one picture, one key that is wrong and one field that is."""
    assert set(PRESETS) == set(get_args(Dialect))
    for dialect in PRESETS.keys() - {"openai"}:
        expected = [fixture.expect for fixture in wire_fixtures(f"openai_compatible/{dialect}")]
        reasons = {expect.get("reason") for expect in expected}
        assert {None, "INVALID_REQUEST", "PROVIDER_ERROR"} <= reasons or {None, "INVALID_REQUEST"} <= reasons, dialect
        assert "AUTHENTICATION_FAILED" in reasons or dialect == "sd-server", dialect

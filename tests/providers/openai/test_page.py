"""docs/openai.md says what the code does."""

import re
import tomllib
from datetime import UTC, datetime

import pytest
from imagegen_server.domain.errors import Reason
from imagegen_server.providers.openai.models import family_of, find_model, living_models
from imagegen_server.providers.openai.provider import OpenAI
from imagegen_server.providers.openai.sizes import PIXELS_OF_RESOLUTION, read_ratio, size_of

from tests.support.docs_page import Page
from tests.support.openai_checks import MODELS

PAGE = Page("openai.md")
MODEL_ROWS = [(name, row) for row in PAGE.rows("\n## Models\n") for name in PAGE.names(row[0])]


def test_every_model_stands_on_the_page() -> None:
    """Those of today, and those that were."""
    listed = {model.id for model in living_models(datetime(2000, 1, 1, tzinfo=UTC))}

    assert {name for name, _ in MODEL_ROWS} == listed
    assert listed >= MODELS


@pytest.mark.parametrize(("name", "row"), MODEL_ROWS, ids=[name for name, _ in MODEL_ROWS])
def test_what_the_page_says_of_a_model_is_true(name: str, row: list[str]) -> None:
    """Its last day, its sizes, qualities and formats."""
    model, (_, end, sizes, *values) = find_model(name), row

    assert end == (model.retire_time.date().isoformat() if model.retire_time else "")
    assert sizes == ("any" if family_of(name).any_size else "three")
    if not name.startswith("dall-e"):
        assert [value.split(", ") for value in values] == [
            list(model.capabilities.qualities),
            list(model.capabilities.formats),
        ]


def test_every_option_is_the_field_that_the_page_names() -> None:
    """As the provider declares which params say what an option says."""
    told = {
        (option, field)
        for row in PAGE.rows("\n## Options\n")
        for option in PAGE.names(row[0])
        for field in PAGE.names(row[1])
    }

    assert told >= {(option, field) for field, option in OpenAI.param_options.items()}
    for param in (*OpenAI.param_options, *OpenAI.controlled_params - {"image[]"}):
        assert f"`{param}`" in PAGE.part("Params")


def test_the_sizes_are_those_that_are_sent() -> None:
    """For each ratio and resolution of the table."""
    table = PAGE.rows("as near as 16 pixels let it be:")

    assert len(table) == 6
    for (ratio_text,), *sizes in ((PAGE.names(row[0]), *row[1:]) for row in table):
        ratio = read_ratio(ratio_text)
        assert ratio is not None
        assert sizes == [str(size_of(ratio, resolution)) for resolution in PIXELS_OF_RESOLUTION]


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert told <= set(Reason.__members__)
    assert {Reason(number).name for number in range(1, 12)} <= told


def test_the_configuration_can_be_read() -> None:
    """Every block of TOML is one, with the keys of our tables."""
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]

    assert [sorted(block) for block in blocks] == [["providers"], ["prices"], ["providers"]]
    assert "It was never run against the live service." in PAGE.sentences

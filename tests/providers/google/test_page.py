"""docs/google.md says what the code does."""

import re
import tomllib
from datetime import UTC, datetime

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Reason
from imagegen_server.providers.google import PROVIDER
from imagegen_server.providers.google.models import find_model, living_models
from imagegen_server.providers.google.provider import Google
from imagegen_server.providers.google.request import FILES, PARAM_PATHS

from tests.support.docs_page import Page

PAGE = Page("google.md")
MODEL_ROWS = [(name, row) for row in PAGE.rows("\n## Models\n") for name in PAGE.names(row[0])]


def test_every_model_stands_on_the_page() -> None:
    """Those of today, and those that were."""
    assert {name for name, _ in MODEL_ROWS} == {model.id for model in living_models(datetime(2000, 1, 1, tzinfo=UTC))}


@pytest.mark.parametrize(("name", "row"), MODEL_ROWS, ids=[name for name, _ in MODEL_ROWS])
def test_what_the_page_says_of_a_model_is_true(name: str, row: list[str]) -> None:
    """Its last day, its resolutions, and whether it shows anything while it draws."""
    model, (_, end, resolutions, previews) = find_model(name), row

    assert end == (model.retire_time.date().isoformat() if model.retire_time else "")
    assert resolutions == ", ".join(model.capabilities.resolutions)
    assert previews == ("yes" if model.capabilities.previews is PreviewSupport.IMAGES else "no")


def test_every_option_is_the_field_that_the_page_names() -> None:
    """Those that are sent; the others are named as warnings."""
    rows = PAGE.rows("\n## Options\n")
    told = {option: field for row in rows for option in PAGE.names(row[0]) for field in PAGE.names(row[1])}
    options = find_model("gemini-3-pro-image").capabilities.options

    assert options is not None
    assert {option: told[option] for option in PARAM_PATHS} == {
        option: ".".join(path) for option, path in PARAM_PATHS.items()
    }
    assert options == PARAM_PATHS.keys()
    for option in ("size", "quality", "background", "format", "compression", "negative_prompt"):
        assert f"`{option}`" in PAGE.part("Options")


def test_params_reasons_and_key() -> None:
    """What is refused, every reason that the adapter can have, and the variable of the key."""
    reasons = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert all(f"`{name}`" in PAGE.part("Params") for name in {*Google.controlled_params, FILES})
    assert {Reason(number).name for number in range(1, 12)} <= reasons <= set(Reason.__members__)
    assert PROVIDER.remote is not None
    assert f"export {PROVIDER.remote.key_env}=" in PAGE.part("The key")


def test_the_configuration_can_be_read() -> None:
    """Every block of TOML is one, with the keys of our tables; and the page is honest about what was run."""
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]

    assert [sorted(block) for block in blocks] == [["providers"]]
    assert "It was never run against the live service." in PAGE.sentences

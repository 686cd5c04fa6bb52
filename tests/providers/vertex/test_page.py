"""docs/vertex.md says what the code does."""

import dataclasses
import re
import tomllib

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Reason
from imagegen_server.providers.google.request import FILES
from imagegen_server.providers.vertex import PROVIDER, VertexSettings
from imagegen_server.providers.vertex.models import FORMATS, KNOWN, find_vertex_model
from imagegen_server.providers.vertex.provider import Vertex
from imagegen_server.providers.vertex.settings import EXTRA, base_url_of

from tests.support.docs_page import Page

PAGE = Page("vertex.md")
MODEL_ROWS = [(name, row) for row in PAGE.rows("\n## Models\n") for name in PAGE.names(row[0])]


def test_every_model_stands_on_the_page() -> None:
    """Those of today, and those that were."""
    assert {name for name, _ in MODEL_ROWS} == KNOWN.keys()


@pytest.mark.parametrize(("name", "row"), MODEL_ROWS, ids=[name for name, _ in MODEL_ROWS])
def test_what_the_page_says_of_a_model_is_true(name: str, row: list[str]) -> None:
    """Its last day, its resolutions, and whether it shows anything while it draws."""
    model, (_, end, resolutions, previews) = find_vertex_model(name), row

    assert end == (model.retire_time.date().isoformat() if model.retire_time else "")
    assert resolutions == ", ".join(model.capabilities.resolutions)
    assert previews == ("yes" if model.capabilities.previews is PreviewSupport.IMAGES else "no")


def test_every_option_is_the_field_that_the_page_names() -> None:
    """Those that are sent; the others are named as warnings."""
    rows = {option: row for row in PAGE.rows("\n## Options\n") for option in PAGE.names(row[0])}
    options = find_vertex_model("gemini-3-pro-image").capabilities.options

    assert options == frozenset(Vertex.param_paths)
    for option, path in Vertex.param_paths.items():
        assert PAGE.names(rows[option][1]) == [".".join(path)]
    assert PAGE.names(rows["format"][2]) == list(FORMATS)
    for option in ("size", "quality", "background", "negative_prompt"):
        assert f"`{option}`" in PAGE.part("Options")


def test_every_setting_and_its_variable() -> None:
    """In one table; the package that tokens need is named."""
    rows = {row[0].strip("`"): row[1] for row in PAGE.rows("\n## Project, location and credentials\n")}
    remote = PROVIDER.remote
    assert remote is not None

    assert rows.keys() == {field.name for field in dataclasses.fields(VertexSettings)}
    for setting, variable in remote.settings_env.items():
        assert isinstance(variable, str)
        assert f"`{variable}`" in rows[setting]
    assert f'`"{VertexSettings().api_version}"`' in rows["api_version"]
    assert f'`"{VertexSettings().place}"`' in rows["location"]
    assert f"pip install '{EXTRA}'" in PAGE.text


@pytest.mark.parametrize("row", PAGE.rows("in place of the location's own address."), ids=lambda row: row[0])
def test_where_requests_go(row: list[str]) -> None:
    """The address of each location."""
    assert row[1] == f"`{base_url_of(VertexSettings(location=row[0].strip('`')))}`"


def test_params_and_reasons() -> None:
    """What is refused or made of params, and every reason that the adapter can have."""
    reasons = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert all(f"`{name}`" in PAGE.part("Params") for name in {*Vertex.controlled_params, FILES})
    assert {Reason(number).name for number in range(1, 12)} <= reasons <= set(Reason.__members__)


def test_the_configuration_can_be_read() -> None:
    """Every block of TOML is one, with the keys of our tables; and the page is honest about what was run."""
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]

    assert [sorted(block["providers"]) for block in blocks] == [["vertex"]] * 2
    assert "It was never run against the live service." in PAGE.sentences

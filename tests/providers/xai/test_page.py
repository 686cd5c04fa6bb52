"""docs/xai.md says what the code does."""

import re
import tomllib
from datetime import UTC, datetime

import pytest
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.generation.catalogue import FRESH_SECONDS
from imagegen_server.providers.xai import PROVIDER
from imagegen_server.providers.xai.models import find_model, living_models
from imagegen_server.providers.xai.provider import XAI

from tests.support.tools import ROOT
from tests.support.xai_api import MODELS

PAGE = (ROOT / "docs" / "xai.md").read_text()
SENTENCES = " ".join(PAGE.split())
REMOTE = PROVIDER.remote


def rows(heading: str) -> list[list[str]]:
    """Read the first table behind a text: its cells, without its head."""
    table = PAGE.partition(heading)[2].partition("\n| ")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.splitlines()[2:]]


def names(cell: str) -> list[str]:
    """Read what is written as code."""
    return re.findall(r"`([^`]+)`", cell)


MODEL_ROWS = {name: row for row in rows("\n## Models\n") for name in names(row[0])}


def test_the_key_is_that_of_the_environment() -> None:
    """The variable that enables the provider without a table."""
    assert REMOTE is not None
    assert f"export {REMOTE.key_env}=" in PAGE


def test_every_model_stands_on_the_page() -> None:
    """Those of today, and those that were."""
    assert set(MODEL_ROWS) == {model.id for model in living_models(datetime(2000, 1, 1, tzinfo=UTC))}
    assert set(MODEL_ROWS) >= set(MODELS)
    assert FRESH_SECONDS == 600
    assert "remembers it for ten minutes" in SENTENCES


@pytest.mark.parametrize("name", MODEL_ROWS)
def test_what_the_page_says_of_a_model_is_true(name: str) -> None:
    """Its last day, its input images, qualities, resolutions and ratios."""
    model = find_model(name)
    can = model.capabilities

    assert MODEL_ROWS[name][1:] == [
        model.retire_time.date().isoformat() if model.retire_time else "",
        str(can.max_input_images),
        ", ".join(can.qualities),
        ", ".join(can.resolutions),
        str(len(can.aspect_ratios)),
    ]
    assert can.max_images == 10


def test_the_ratios_are_those_of_the_models() -> None:
    """In words, the first generation's and what came later."""
    first, second = (find_model(name).capabilities.aspect_ratios for name in MODELS[:2])
    told = names(SENTENCES.partition("The 14 ratios are ")[2].partition("## ")[0])

    assert tuple(told) == second
    assert second[: len(first)] == first


def test_every_option_is_the_field_that_the_page_names() -> None:
    """As the provider declares; the others are said to be unknown to the vendor."""
    table = rows("\n## Options\n")
    sent = {(option, field) for row in table for option in names(row[0]) for field in names(row[1])}
    unknown = {option for row in table for option in names(row[0]) if "not known" in row[2]}
    able = find_model("grok-imagine-image-2.0").capabilities.options

    assert sent == {(option, field) for field, option in XAI.param_options.items()}
    assert able is not None
    assert able == {option for option, _ in sent} - {"count"}
    assert able | unknown | {"count"} == set(Options.__slots__)


def test_every_param_of_the_server_stands_on_the_page() -> None:
    """Those that are options, and those that are refused."""
    said = names(PAGE.partition("A param that says")[2].partition("## ")[0])

    assert set(said) == {*XAI.param_options, *XAI.controlled_params}


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in rows("\n## Errors\n")}

    assert told <= set(Reason.__members__)
    assert {Reason(number).name for number in range(1, 12)} <= told


def test_the_configuration_can_be_read() -> None:
    """Every block of TOML is one."""
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]

    assert [sorted(block["providers"]) for block in blocks] == [["xai"]]
    assert "It was never run against the live service." in SENTENCES

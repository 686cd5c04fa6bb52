"""docs/bfl.md says what the code does."""

import re
import tomllib

import pytest
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.providers.bfl import PROVIDER, models
from imagegen_server.providers.bfl.models import find_model, known_models
from imagegen_server.providers.bfl.provider import BFL
from imagegen_server.providers.bfl.request import _MOST_IMAGE_BYTES
from imagegen_server.providers.bfl.sizes import PIXELS_OF_RESOLUTION

from tests.support.docs_page import Page

PAGE = Page("bfl.md")
REMOTE = PROVIDER.remote
MODEL_ROWS = {name: row for row in PAGE.rows("\n## Models\n") for name in PAGE.names(row[0])}


def test_the_key_is_that_of_the_environment() -> None:
    """The variable that enables the provider without a table."""
    assert REMOTE is not None
    assert f"export {REMOTE.key_env}=" in PAGE.text


def test_every_model_stands_on_the_page() -> None:
    """Those that ListModels tells, in its order."""
    assert list(MODEL_ROWS) == [model.id for model in known_models()]
    assert not any(model.retire_time for model in known_models())


@pytest.mark.parametrize("name", MODEL_ROWS)
def test_what_the_page_says_of_a_model_is_true(name: str) -> None:
    """What it does, with how many images, and which options it has."""
    can = find_model(name).capabilities
    draws, edits, inputs, mask, options = MODEL_ROWS[name][1:]

    assert (draws == "yes", edits == "yes", mask == "yes") == (can.generate, can.edit, can.mask)
    assert int(inputs) == can.max_input_images
    assert set(PAGE.names(options)) == set(can.options or ())
    assert can.max_images == 1


def test_every_option_is_the_field_that_the_page_names() -> None:
    """As the provider declares; the others are said to be unknown to the vendor."""
    table = PAGE.rows("\n## Options\n")
    sent = {(option, field) for row in table for option in PAGE.names(row[0]) for field in PAGE.names(row[1])}
    unknown = {option for row in table for option in PAGE.names(row[0]) if "not known" in row[2]}
    able = set().union(*(model.capabilities.options or () for model in known_models()))

    assert sent == {(option, field) for field, option in BFL.param_options.items()} | {
        ("size", "width"),
        ("size", "height"),
    }
    assert able == {option for option, _ in sent}
    assert able | unknown | {"count", "preview_count"} == set(Options.__slots__)


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    """Sizes and limits."""
    flux_2, flux_1 = models._FLUX_2_GRID, models._FLUX_1_GRID
    flux_3 = models.shape_of("flux-3-image")

    assert f"multiples of {flux_2.step}, at least {flux_2.least} a side, at most {flux_2.most_pixels:,} pixels" in (
        PAGE.sentences
    )
    assert f"multiples of {flux_1.step} from {flux_1.least} to {flux_1.longest}" in PAGE.sentences
    assert f"sides of {flux_3.least_side} pixels and more, {flux_3.most_pixels:,} pixels" in PAGE.sentences
    assert f"{_MOST_IMAGE_BYTES:,} bytes of base64" in PAGE.sentences
    assert list(PIXELS_OF_RESOLUTION) == ["1K", "2K"]
    resolutions = flux_3.able.resolutions
    assert "FLUX 3: " + ", ".join(f"`{name}`" for name in resolutions) in PAGE.sentences


def test_every_param_of_the_server_stands_on_the_page() -> None:
    """Those that are options, and those that are refused."""
    said = PAGE.names(PAGE.text.partition("A param that says")[2].partition("## ")[0])
    numbered = {name for name in BFL.controlled_params if re.fullmatch(r"input_image_\d+", name)}

    assert set(said) == {*BFL.param_options, *BFL.controlled_params, "width", "height", "options.size"} - numbered


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert told <= set(Reason.__members__)
    assert {Reason(number).name for number in range(1, 12)} <= told


def test_the_configuration_can_be_read() -> None:
    """Every block of TOML is one."""
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]

    assert [sorted(block["providers"]) for block in blocks] == [["bfl"]]
    assert "It was never run against the live service." in PAGE.sentences

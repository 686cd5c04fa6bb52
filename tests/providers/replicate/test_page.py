"""docs/replicate.md says what the code does."""

import dataclasses
import re
import tomllib

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.generation.catalogue import FRESH_SECONDS
from imagegen_server.providers.replicate import PROVIDER, ReplicateSettings, inputs
from imagegen_server.providers.replicate.models import known_ids
from imagegen_server.providers.replicate.prediction import _LEAST_LEFT, _MOST_INSIDE
from imagegen_server.providers.replicate.provider import Replicate
from imagegen_server.providers.replicate.settings import DOMAINS

from tests.support.docs_page import Page
from tests.support.replicate_provider import replicate_provider

PAGE = Page("replicate.md")
MODEL_ROWS = {Page.names(row[0])[0]: row for row in PAGE.rows("\n## Models\n")}
OPTION_ROWS = {Page.names(row[0])[0]: row for row in PAGE.rows("\n## Options\n")}


def test_the_key_is_that_of_the_environment() -> None:
    """The variable that enables the provider without a table, and where the key goes."""
    assert PROVIDER.remote is not None
    assert f"export {PROVIDER.remote.key_env}=" in PAGE.text
    assert f"(`{PROVIDER.remote.base_url}`)" in PAGE.text
    told = PAGE.sentences.partition("by https, to ")[2].partition("nowhere else")[0]
    assert tuple(Page.names(told)) == DOMAINS


def test_the_configuration_can_be_read() -> None:
    """The block of TOML is a table that is taken, and names every setting; defaults are those that it says."""
    (block,) = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]
    table = block["providers"]["replicate"]
    own = {field.name for field in dataclasses.fields(ReplicateSettings)}
    given = {name: value for name, value in table.items() if name in own}
    config = provider_config(
        "replicate", ProviderTable.model_validate(given | {"api_key": {"env": "PATH"}}), {"replicate": PROVIDER}
    )

    assert own == given.keys()
    assert isinstance(config.settings, ReplicateSettings)
    assert config.settings.collections == ReplicateSettings().collections
    assert "It was never run against the live service." in PAGE.sentences


def test_every_known_model_stands_on_the_page() -> None:
    """In the order of the table in the code."""
    assert tuple(MODEL_ROWS) == known_ids()
    assert FRESH_SECONDS == 600
    assert "remembers them for ten minutes" in PAGE.sentences


@pytest.mark.parametrize("name", MODEL_ROWS)
def test_what_the_page_says_of_a_model_is_true(name: str) -> None:
    """What it does, how many images it takes and makes, its mask, its options; none shows previews."""
    able = replicate_provider().model(name).capabilities
    _, does, images, mask, pictures, options = MODEL_ROWS[name]

    assert does.split() == [what for what, can in (("draws", able.generate), ("edits", able.edit)) if can]
    assert images == str(able.max_input_images or "")
    assert mask == ("yes" if able.mask else "")
    assert pictures == str(able.max_images)
    assert able.options == frozenset(Page.names(options))
    assert able.previews is PreviewSupport.PROGRESS


def test_every_option_is_the_input_that_the_page_names() -> None:
    """As the provider declares, and the inputs for sizes and resolutions; none is left out."""
    fields = {option: set(Page.names(row[1])) for option, row in OPTION_ROWS.items()}
    declared: dict[str, set[str]] = {}
    for name, option in Replicate.param_options.items():
        declared.setdefault(option, set()).add(name)
    also = {
        "size": {"width", "height", *inputs.SIZE_FIELDS},
        "resolution": {*inputs.SIZE_FIELDS, "megapixels"},
    }

    assert set(OPTION_ROWS) == set(Options.__slots__)
    assert {option: names for option, names in fields.items() if names} == declared | also


def test_params_are_those_of_the_code() -> None:
    """Those that say what an option says, those that win over a size, and those that are refused."""
    said = PAGE.part("Params").partition("A param that says what an option says")[2]
    words, _, refused = said.partition("The server sets")
    numbered = {name for name in Replicate.controlled_params if re.fullmatch(r"input_image_\d", name)}

    sizes = {"width", "height", *inputs.SIZE_FIELDS, "megapixels", "options.size", "options.resolution"}
    assert set(Page.names(words)) == {*Replicate.param_options, *sizes}
    assert {"prompt", "input_image_1", "input_image_8"} == set(Page.names(refused))
    told = set(Page.names(PAGE.part("Options").partition("**Edits.**")[2]))
    assert set(Replicate.controlled_params) - numbered - {"prompt"} <= told
    assert len(numbered) == 8


def test_numbers_are_those_of_the_code() -> None:
    """What goes along inside, the least time, and how many images are taken."""
    assert _MOST_INSIDE == 256 * 1024
    assert "Up to 256 KiB an image goes along" in PAGE.sentences
    assert f"{_LEAST_LEFT} seconds at least" in PAGE.sentences
    assert f"names no limit, {inputs._MOST_INPUTS} images are taken" in PAGE.sentences


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert told <= set(Reason.__members__)
    assert {Reason(number).name for number in range(1, 12)} <= told

"""docs/bedrock.md says what the code does."""

import re
import tomllib

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.generation.catalogue import FRESH_SECONDS
from imagegen_server.providers.bedrock import PROVIDER, BedrockSettings
from imagegen_server.providers.bedrock.models import find_model, known_models, shape_of
from imagegen_server.providers.bedrock.provider import Bedrock
from imagegen_server.providers.bedrock.settings import EXTRA, base_url_of

from tests.support.bedrock_api import ENDED
from tests.support.docs_page import Page

PAGE = Page("bedrock.md")
MODELS = {name: row for row in PAGE.rows("\n## Models\n") for name in PAGE.names(row[0])}


def test_who_asks() -> None:
    """The variables, the address and the extra are those of the code."""
    assert PROVIDER.remote is not None
    assert f"export {PROVIDER.remote.key_env}=" in PAGE.part("Who asks")
    assert f"export {PROVIDER.remote.settings_env['region'][0]}=" in PAGE.part("Who asks")
    assert base_url_of(BedrockSettings("us-west-2")).replace("us-west-2", "REGION") in PAGE.sentences
    assert f"pip install '{EXTRA}'" in PAGE.sentences


def test_every_model_stands_on_the_page() -> None:
    """Those that are listed, and those that have ended with their day."""
    assert set(MODELS) == {model.id for model in known_models()}
    assert FRESH_SECONDS == 600
    assert "remembers them for ten minutes" in PAGE.sentences
    for name in ENDED:
        end = find_model(name).retire_time
        assert end is not None
        assert f"`{name}` on {end.date().isoformat()}" in PAGE.sentences


@pytest.mark.parametrize("name", MODELS)
def test_what_the_page_says_of_a_model_is_true(name: str) -> None:
    """What it does, what it needs, its input images, mask and formats."""
    can, shape = find_model(name).capabilities, shape_of(name)
    _, draws, edits, needs, images, mask, formats = MODELS[name]

    assert draws == ("yes" if can.generate else "")
    assert edits == (("without words" if can.edits_without_words else "yes") if can.edit else "")
    assert tuple(PAGE.names(needs)) == shape.needed
    assert images == (str(can.max_input_images) if can.edit else "")
    assert mask == ("yes" if can.mask else "")
    assert formats == ", ".join(can.formats)


def test_the_ratios_are_those_of_the_models() -> None:
    """In their order."""
    told = PAGE.names(PAGE.sentences.partition("The ratios are ")[2].partition(". ")[0])

    assert tuple(told) == find_model("stability.stable-image-core-v1:1").capabilities.aspect_ratios


def test_every_option_is_the_field_that_the_page_names() -> None:
    """As the provider declares; the others are said to be unknown to the vendor."""
    rows = PAGE.rows("\n## Options\n")
    sent = {option: field for row in rows for option in PAGE.names(row[0]) for field in PAGE.names(row[1])}
    unknown = {option for row in rows for option in PAGE.names(row[0]) if "not known" in row[2]}

    assert sent == {option: field for field, option in Bedrock.param_options.items()}
    assert sent.keys() | unknown | {"count"} == set(Options.__slots__)


@pytest.mark.parametrize("option", ["seed", "negative_prompt", "aspect_ratio"])
def test_who_does_not_have_an_option_is_named(option: str) -> None:
    """Among the services, or as those that take no words."""
    (row,) = [row for row in PAGE.rows("\n## Options\n") if row[0] == f"`{option}`"]
    services = {model.id for model in known_models() if not model.capabilities.generate}
    without = {name for name in services if option not in (find_model(name).capabilities.options or ())}
    named = {f"us.stability.{name}-v1:0" for name in PAGE.names(row[2])}

    if option == "aspect_ratio":
        assert named == services - without
    elif option == "negative_prompt":
        assert named | {name for name in services if not shape_of(name).prompt} == without
    else:
        assert named == without


def test_every_param_of_the_server_stands_on_the_page() -> None:
    """Those that are options, and those that are refused."""
    said = PAGE.names(PAGE.text.partition("A param that says")[2].partition("## ")[0])

    assert set(said) == {*Bedrock.param_options, *Bedrock.controlled_params}


def test_what_takes_no_prompt_is_named() -> None:
    """In the words about edits."""
    said = set(PAGE.names(PAGE.text.partition("whose style it gets.")[2].partition("take no prompt")[0]))
    without = {model.id for model in known_models() if not shape_of(model.id).prompt}

    assert {f"us.stability.{name}-v1:0" for name in said} == without


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert {Reason(number).name for number in range(1, 12)} <= told <= set(Reason.__members__)


def test_the_configuration_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both blocks of TOML are tables that the server takes; and the page is honest about what was run."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSK1")
    tables = [tomllib.loads(block)["providers"] for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]
    for (name, table), profile in zip([next(iter(one.items())) for one in tables], ["", "art"], strict=True):
        table.pop("api_key", None)  # a file that is not here
        config = provider_config(name, ProviderTable(**table), {"bedrock": PROVIDER})
        assert config.settings == BedrockSettings("us-west-2", profile)

    assert "**It was never run against the live service.**" in PAGE.sentences

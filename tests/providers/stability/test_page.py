"""docs/stability.md says what the code does."""

import re
import tomllib

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.stability import PROVIDER, errors, models, request
from imagegen_server.providers.stability.models import find_model, known_models, path_of, shape_of
from imagegen_server.providers.stability.provider import Stability

from tests.support.docs_page import Page
from tests.support.stability_fields import FORMS

PAGE = Page("stability.md")
MODELS = {name: row for row in PAGE.rows("\n## Models\n") for name in PAGE.names(row[0])}
EDITING = [model.id for model in known_models() if model.capabilities.edit]


def test_the_key_and_the_address_are_those_of_the_code() -> None:
    """The variable that enables the provider without a table, and where the key goes."""
    assert PROVIDER.remote is not None
    assert f"export {PROVIDER.remote.key_env}=" in PAGE.part("The key")
    assert f"The key goes to `{PROVIDER.remote.base_url}`" in PAGE.sentences


def test_every_model_stands_on_the_page() -> None:
    """Those that ListModels tells, in its order; and those that another answers."""
    assert list(MODELS) == [model.id for model in known_models()]
    assert not any(model.retire_time for model in known_models())
    told = PAGE.sentences.partition("Since 2025-04-17 ")[2].partition(" are answered")[0]
    assert set(PAGE.names(told)) == models._REDIRECTED
    assert models._REDIRECTED_SINCE.isoformat() == "2025-04-17"


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


def test_what_is_started_and_asked_after_is_named() -> None:
    """As the document has it."""
    told = PAGE.names(PAGE.sentences.partition("is not spoken here. ")[2].partition(" are started")[0])
    later = [name for name in MODELS if FORMS[path_of(name).removeprefix("/v2beta/stable-image/")].later]

    assert told == later
    assert Stability("stability", NoSettings())._pace.longest == 10
    assert "asked after every ten seconds" in PAGE.sentences


def test_the_ratios_are_those_of_the_models() -> None:
    """In their order."""
    told = PAGE.names(PAGE.sentences.partition("The ratios are ")[2].partition(". ")[0])

    assert tuple(told) == find_model("core").capabilities.aspect_ratios


def test_every_option_is_the_field_that_the_page_names() -> None:
    """As the provider declares; the others are said to be unknown to the vendor."""
    rows = PAGE.rows("\n## Options\n")
    sent = {option: field for row in rows for option in PAGE.names(row[0]) for field in PAGE.names(row[1])}
    unknown = {option for row in rows for option in PAGE.names(row[0]) if "not known" in row[2]}

    assert sent == {option: field for field, option in Stability.param_options.items()}
    assert sent.keys() | unknown | {"count"} == set(Options.__slots__)


@pytest.mark.parametrize("option", ["seed", "negative_prompt", "aspect_ratio"])
def test_who_does_not_have_an_option_is_named(option: str) -> None:
    """Among those that edit, or as those that take no words."""
    (row,) = [row for row in PAGE.rows("\n## Options\n") if row[0] == f"`{option}`"]
    with_it = {name for name in EDITING if option in (find_model(name).capabilities.options or ())}
    without, named = set(EDITING) - with_it, set(PAGE.names(row[2]))

    if option == "aspect_ratio":
        assert named == {name for name in with_it if shape_of(name).edit_ratio}
    elif option == "negative_prompt":
        assert named | {name for name in EDITING if not shape_of(name).prompt} == without
    else:
        assert named == without


def test_every_param_of_the_server_stands_on_the_page() -> None:
    """Those that are options, and those that are refused; and all others that the document knows."""
    told, _, said = PAGE.part("Params").partition("```sh")
    said = said.partition("A param that says")[2]
    mine = {*Stability.param_options, *Stability.controlled_params}
    fields = {name for form in FORMS.values() for name in form.fields}
    needed = {name for model in MODELS for name in shape_of(model).needed}

    assert set(PAGE.names(said)) == mine
    assert set(PAGE.names(told)) - {"params.stability"} == fields - mine - (needed - {"strength"})


def test_what_takes_no_prompt_is_named() -> None:
    """In the words about edits."""
    said = PAGE.sentences.partition("if there is a second image. ")[2].partition("take no prompt")[0]

    assert set(PAGE.names(said)) == {name for name in EDITING if not shape_of(name).prompt}


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    """Sizes, limits and waits."""
    assert f"may have {request._MOST_BYTES:,} bytes" in PAGE.sentences
    usual = shape_of("control/sketch").limits[0]
    assert f"at least {usual.least_side} pixels a side" in PAGE.sentences
    assert f"at most {usual.most_pixels:,} pixels" in PAGE.sentences
    assert f"it is {errors._TIMED_OUT_SECONDS:.0f} seconds" in PAGE.sentences


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert {Reason(number).name for number in range(1, 12)} <= told <= set(Reason.__members__)


def test_the_configuration_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of TOML is a table that the server takes; and the page is honest about what was run."""
    monkeypatch.setenv("STABILITY_API_KEY", "sk-1")
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)
    table = tomllib.loads(block)["providers"]["stability"]
    table.pop("api_key")  # a file that is not here
    config = provider_config("stability", ProviderTable(**table), {"stability": PROVIDER})

    assert config.settings == NoSettings()
    assert "**It was never run against the live service.**" in PAGE.sentences

"""docs/openrouter.md says what the code does."""

import re
import tomllib

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.generation.catalogue import FRESH_SECONDS
from imagegen_server.providers.openrouter import PROVIDER
from imagegen_server.providers.openrouter.models import guessed_model
from imagegen_server.providers.openrouter.provider import OpenRouter

from tests.support.docs_page import Page
from tests.support.openrouter_api import MODELS

PAGE = Page("openrouter.md")


def test_every_option_is_the_field_that_the_page_names() -> None:
    """As the provider declares; what the vendor has no field for is said to be a warning."""
    rows = PAGE.rows("\n## Options\n")
    sent = {option: field for row in rows for option in PAGE.names(row[0]) for field in PAGE.names(row[1])}
    unknown = {option for row in rows for option in PAGE.names(row[0]) if "not known" in row[2]}
    able = guessed_model("acme/paint").capabilities.options

    assert sent.pop("preview_count") == "stream"
    assert sent == {option: field for field, option in OpenRouter.param_options.items()}
    assert able == frozenset(sent) - {"count"}
    assert sent.keys() | unknown | {"preview_count"} == set(Options.__slots__)


def test_every_param_of_the_server_stands_on_the_page() -> None:
    """Those that are options, and those that are refused."""
    said = PAGE.names(PAGE.text.partition("A param that says")[2].partition("## ")[0])

    assert set(said) == {*OpenRouter.param_options, *OpenRouter.controlled_params}


def test_what_the_page_says_of_models_is_true() -> None:
    """Of those that are not listed, and of the fields of the list."""
    stranger, openai = (guessed_model(name).capabilities for name in ("acme/paint", "openai/gpt-image-9"))
    read = {name.partition(".")[0] for row in PAGE.rows("\n## Models\n") for name in PAGE.names(row[0])}

    assert stranger.max_input_images == 16
    assert "at most 16 input images" in PAGE.sentences
    assert (stranger.previews, openai.previews) == (PreviewSupport.UNKNOWN, PreviewSupport.IMAGES)
    assert read <= MODELS["openai/gpt-image-2"].keys()
    assert FRESH_SECONDS == 600
    assert "remembers the list for ten minutes" in PAGE.sentences


def test_reasons_and_key() -> None:
    """Every reason that the adapter can have is one of the contract, and the variable is that of the key."""
    reasons = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert {Reason(number).name for number in range(1, 12)} <= reasons <= set(Reason.__members__)
    assert PROVIDER.remote is not None
    assert f"export {PROVIDER.remote.key_env}=" in PAGE.part("The key")


def test_the_configuration_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one block of TOML is a table that the server takes; and the page is honest about what was run."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-1")
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)
    ((name, table),) = tomllib.loads(block)["providers"].items()
    del table["api_key"]  # a file that is not here
    config = provider_config(name, ProviderTable(**table), {"openrouter": PROVIDER})

    assert (config.name, config.timeout) == ("openrouter", 300.0)
    assert "It was never run against the live service." in PAGE.sentences

"""docs/openai-compatible.md says what the code does."""

import dataclasses
import re
import tomllib
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.errors import Reason
from imagegen_server.generation.catalogue import FRESH_SECONDS
from imagegen_server.providers.openai_compatible import PROVIDER, CompatibleSettings
from imagegen_server.providers.openai_compatible.settings import PRESETS, ModelSettings, Switches

from tests.support.docs_page import Page

PAGE = Page("openai-compatible.md")
SWITCHES = {PAGE.names(row[0])[0]: row for row in PAGE.rows("\n## Switches\n")}
ROWS = {PAGE.names(row[0])[0]: row[1] for row in PAGE.rows("\n## Presets\n")}
NOT_SWITCHES = {"base_url", "models"}


def differences(preset: Switches) -> dict[str, Any]:
    """Tell what a preset sets."""
    usual = Switches()
    return {
        field.name: getattr(preset, field.name)
        for field in dataclasses.fields(Switches)
        if field.name not in NOT_SWITCHES and getattr(preset, field.name) != getattr(usual, field.name)
    }


def as_toml(value: Any) -> Any:
    """See a value as TOML reads it."""
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("dialect", [name for name in PRESETS if name != "openai"])
def test_the_page_says_what_a_preset_sets(dialect: str) -> None:
    """Every switch of it with its value, as it would be written, and no other."""
    told: dict[str, Any] = {}
    for code in PAGE.names(ROWS[dialect]):
        told |= tomllib.loads(code)

    assert told == {name: as_toml(value) for name, value in differences(PRESETS[dialect]).items()}


def test_every_preset_stands_on_the_page() -> None:
    """With its address, if it has one, and the models that are known."""
    assert set(ROWS) | {"openai"} == set(PRESETS)
    assert differences(PRESETS["openai"]) == {}
    for dialect, preset in PRESETS.items():
        if preset.base_url:
            assert re.search(rf"`{dialect}` (?:is )?at `{re.escape(preset.base_url)}`", PAGE.sentences)
    known = PAGE.sentences.partition("Known of Recraft without that, ")[2].partition(". ")[0]
    assert PAGE.names(known) == list(PRESETS["recraft"].models)


def test_every_switch_stands_on_the_page_with_its_default() -> None:
    """Those of the settings; an empty cell is a switch that nothing is said of."""
    fields = {field.name for field in dataclasses.fields(Switches)} - NOT_SWITCHES
    assert set(SWITCHES) == fields
    usual = Switches()
    for name, row in SWITCHES.items():
        told = PAGE.names(row[1])
        value = getattr(usual, name)
        assert (tomllib.loads(f"value = {told[0]}")["value"] if told else None) == as_toml(value), name
        for kind in get_args(get_type_hints(CompatibleSettings)[name]):
            for choice in get_args(kind) if get_origin(kind) is Literal else ():
                assert f'`"{choice}"`' in row[2], name


def test_what_may_be_said_of_a_model_stands_on_the_page() -> None:
    """Every key."""
    said = PAGE.sentences.partition("Keys: ")[2].partition(". ")[0]

    assert PAGE.names(said) == [field.name for field in dataclasses.fields(ModelSettings)]
    assert FRESH_SECONDS == 600
    assert "remembers it for ten minutes" in PAGE.sentences


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert told <= set(Reason.__members__)
    assert {Reason(number).name for number in range(1, 12)} <= told


def test_the_configurations_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of TOML is a table that the server takes; models are declared for a provider of another block."""
    monkeypatch.setenv("RECRAFT_API_TOKEN", "k-1")
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]
    tables: dict[str, dict[str, Any]] = {}
    for block in blocks:
        for name, keys in block["providers"].items():
            tables[name] = tables.get(name, {}) | keys

    assert set(tables) == {"local", "cluster", "recraft", "relay"}
    for name, keys in tables.items():
        if "file" in keys.get("api_key", {}):
            del keys["api_key"]
        config = provider_config(name, ProviderTable(**keys), {"openai-compatible": PROVIDER})
        assert isinstance(config.settings, CompatibleSettings)
    assert "It was never run against the live service." in PAGE.sentences

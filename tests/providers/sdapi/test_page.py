"""docs/sdapi.md says what the code does."""

import dataclasses
import re
import tomllib

from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.providers.sdapi import PROVIDER, SdapiSettings
from imagegen_server.providers.sdapi.answer import _FACTS, _MODEL_FACTS
from imagegen_server.providers.sdapi.models import DEFAULT, OPTIONS
from imagegen_server.providers.sdapi.provider import Sdapi
from imagegen_server.providers.sdapi.watching import Pace

from tests.support.docs_page import Page

PAGE = Page("sdapi.md")


def test_every_key_has_its_default() -> None:
    """As the settings have it, in their order."""
    table = [(PAGE.names(row[0])[0], PAGE.names(row[1])[0]) for row in PAGE.rows("\n## A table for each\n")]

    assert table == [
        (field.name, str(field.default).lower() if isinstance(field.default, bool) else str(field.default))
        for field in dataclasses.fields(SdapiSettings)
    ]


def test_every_table_can_be_read() -> None:
    """Every block of TOML is one that the server takes."""
    (block,) = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]
    for name, table in block["providers"].items():
        table.pop("api_key", None)
        config = provider_config(name, ProviderTable.model_validate(table), {"sdapi": PROVIDER})
        assert config.http is not None

    assert list(block["providers"]) == ["forge", "gallery", "kobold"]
    assert PROVIDER.remote is not None
    assert block["providers"]["forge"]["base_url"] == PROVIDER.remote.base_url


def test_every_option_is_the_field_that_the_page_names() -> None:
    """The others are said to be unknown, or the server's own."""
    rows = {PAGE.names(row[0])[0]: (PAGE.names(row[1]), row[2]) for row in PAGE.rows("\n## Options\n")}
    sent = {(option, field) for option, (fields, _) in rows.items() for field in fields}

    assert set(rows) == set(Options.__slots__)
    assert {option for option, _ in sent} == OPTIONS | {"count", "preview_count"}
    assert sent == {(option, field) for field, option in Sdapi.param_options.items()} | {
        ("size", "width"),
        ("size", "height"),
        ("preview_count", "override_settings"),
    }
    assert all("a warning" in says for _, (fields, says) in rows.items() if not fields)


def test_every_param_of_the_server_stands_on_the_page() -> None:
    """Those that are options, and those that are refused."""
    said = PAGE.names(PAGE.text.partition("A param that says")[2].partition("## ")[0])

    assert set(said) == {*Sdapi.param_options, *Sdapi.controlled_params}


def test_what_comes_back_stands_on_the_page() -> None:
    """Every fact that is kept."""
    said = set(PAGE.names(PAGE.part("What comes back")))

    assert {*_FACTS, *_MODEL_FACTS, "revised_prompt"} <= said
    assert f"`{DEFAULT}` is whatever model" in PAGE.text


def test_the_pace_is_that_of_the_page() -> None:
    """Half as often without previews, and a quarter as often where each question costs a decoded picture."""
    pace = Sdapi("sdapi", SdapiSettings(poll_seconds=0.5))._pace

    assert (pace.previews, pace.progress, pace.costly) == (0.5, 1.0, 4.0)
    assert Pace(0, 0).costly == 4.0


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    reasons = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert reasons <= set(Reason.__members__)
    assert {Reason(number).name for number in range(1, 12)} <= reasons
    assert "It was never run against the live service." in PAGE.sentences

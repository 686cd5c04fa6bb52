"""docs/azure.md says what the code does."""

import dataclasses
import re
import tomllib
from typing import get_args, get_type_hints

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.errors import Reason
from imagegen_server.providers.azure import PROVIDER, AzureSettings
from imagegen_server.providers.azure.dialect import AZURE
from imagegen_server.providers.azure.models import ENDS, find_deployment
from imagegen_server.providers.azure.provider import Azure
from imagegen_server.providers.azure.settings import EXTRA, OLDEST_VERSION, base_url_of

from tests.support.docs_page import Page

PAGE = Page("azure.md")
SETTINGS = {PAGE.names(row[0])[0]: row for row in PAGE.rows("for which see below")}


def test_every_setting_stands_on_the_page() -> None:
    """With its default; that of the endpoint is the vendor's variable."""
    remote = PROVIDER.remote
    assert remote is not None
    assert set(SETTINGS) == {field.name for field in dataclasses.fields(AzureSettings)}
    defaults = AzureSettings()
    for name, row in SETTINGS.items():
        (told,) = PAGE.names(row[1])
        if name == "endpoint":
            assert told == remote.settings_env["endpoint"]
        else:
            assert tomllib.loads(f"value = {told}") == {"value": getattr(defaults, name)}
    assert OLDEST_VERSION in SETTINGS["api_version"][2]


def test_the_variables_are_those_of_the_code() -> None:
    """Both of them."""
    remote = PROVIDER.remote
    assert remote is not None
    assert f"export {remote.key_env}=" in PAGE.text
    assert f"export {remote.settings_env['endpoint']}=https://" in PAGE.text
    assert f"pip install '{EXTRA}'" in PAGE.sentences


def test_the_addresses_are_those_of_the_code() -> None:
    """Of both styles."""
    for style in ("v1", "deployments"):
        place = base_url_of(AzureSettings("https://x", style)).replace("https://x", "ENDPOINT")
        assert f"`{place}/" in PAGE.text


def test_every_way_to_prove_who_asks_stands_on_the_page() -> None:
    """In the table, by its value."""
    ways = get_args(get_type_hints(AzureSettings)["credential"])
    told = [PAGE.names(row[0])[0] for row in PAGE.rows("\n## Microsoft Entra\n")]

    assert told == [f'"{way}"' for way in ways]


def test_the_days_are_those_of_the_code() -> None:
    """Each model that is known to end, by its plain name."""
    for model, day in ENDS.items():
        if not re.search(r"\d{4}-\d\d-\d\d$", model):
            assert f"`{model}`, {day.isoformat()}" in PAGE.sentences
        assert find_deployment("x", {"x": model}).retire_time is not None


def test_every_param_of_the_server_stands_on_the_page() -> None:
    """Those that are options, and those that are refused."""
    said = PAGE.names(PAGE.text.partition("A param that says")[2].partition("## ")[0])

    assert set(said) == {*Azure.param_options, *Azure.controlled_params}


def test_codes_and_reasons_are_those_of_the_code() -> None:
    """Every code of the table has the reason that stands before it, and every reason exists."""
    for row in PAGE.rows("\n## Errors\n"):
        assert row[0] in Reason.__members__
        for code in PAGE.names(row[1]):
            if code.lower() in AZURE.reasons:
                assert AZURE.reasons[code.lower()].name == row[0]
    said = PAGE.part("Errors")
    assert {"content_policy_violation", "DeploymentNotFound", "QuotaExceeded"} <= set(PAGE.names(said))
    assert ", ".join(f"`{name}`" for name in AZURE.request_ids).replace(", `x-request-id`", " and `x-request-id`") in (
        PAGE.sentences
    )


def test_the_configurations_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of TOML is a table that the server takes."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k-1")
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]
    assert len(blocks) == 3
    for block in blocks:
        (keys,) = block["providers"].values()
        keys.pop("api_key", None)
        config = provider_config("azure", ProviderTable(**keys), {"azure": PROVIDER})
        assert isinstance(config.settings, AzureSettings)
    assert "It was never run against the live service." in PAGE.sentences

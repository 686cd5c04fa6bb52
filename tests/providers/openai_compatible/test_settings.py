"""How such a provider is set up: any address under any name, a preset, and what is to be different."""

import dataclasses
import subprocess
import sys
from datetime import date
from typing import Any

import pytest
from imagegen_server.config.providers import ProviderTable, implicit_tables, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.providers.openai_compatible import PROVIDER, CompatibleSettings
from imagegen_server.providers.openai_compatible.settings import PRESETS, ModelSettings, Switches

TYPES = {"openai-compatible": PROVIDER}
HERE = "http://127.0.0.1:8080/v1"


def table(**keys: Any) -> ProviderTable:
    """Write a table of a name of its own."""
    return ProviderTable(**{"type": "openai-compatible", **keys})


def test_an_address_is_enough() -> None:
    """No key is needed for a server of one's own, and nothing is there without a table."""
    config = provider_config("local", table(base_url=HERE), TYPES)

    assert config.settings == CompatibleSettings()
    assert config.http is not None
    assert config.http.base_url == HERE
    assert config.upstream.keys == ()
    assert implicit_tables(TYPES, loopback=True) == {}


def test_several_stand_side_by_side() -> None:
    """Each under its name, with its own address and key."""
    pool = provider_config("pool", table(base_url=HERE, dialect="sglang"), TYPES)
    cards = provider_config("cards", table(base_url="https://cards.example/v1", dialect="localai"), TYPES)

    assert [config.settings for config in (pool, cards)] == [
        CompatibleSettings("sglang"),
        CompatibleSettings("localai"),
    ]


@pytest.mark.parametrize("dialect", [name for name, preset in PRESETS.items() if preset.base_url])
def test_a_hosted_vendor_has_its_address(monkeypatch: pytest.MonkeyPatch, dialect: str) -> None:
    """And wants a key, which no variable gives it unasked; another address may be said."""
    with pytest.raises(ConfigError, match=r"providers\.hosted\.api_key: is required"):
        provider_config("hosted", table(dialect=dialect), TYPES)

    monkeypatch.setenv("THEIR_KEY", "k-1")
    keys = {"dialect": dialect, "api_key": {"env": "THEIR_KEY"}}
    config = provider_config("hosted", table(**keys), TYPES)
    assert config.http is not None
    assert config.http.base_url == PRESETS[dialect].base_url
    assert [key.secret.reveal() for key in config.upstream.keys] == ["k-1"]

    elsewhere = provider_config("hosted", table(**keys, base_url="https://gateway.example/v1"), TYPES)
    assert elsewhere.http is not None
    assert elsewhere.http.base_url == "https://gateway.example/v1"


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"base_url": ""}, r"^providers\.house\.base_url: is required"),
        ({"dialect": "acme"}, r"^providers\.house\.dialect: .*'sd-server'"),
        ({"size": "pixels"}, r"^providers\.house\.size: "),
        ({"options": {"steps": "steps"}}, "options: 'steps' is none"),
        ({"options": {"size": "size"}}, "options: 'size' is none"),
        ({"edit_options": ["sizes"]}, "edit_options: 'sizes' is none"),
        ({"mask_options": ["mask"]}, "mask_options: 'mask' is none"),
        ({"edit_path": "images/edits"}, "edit_path: begins with a slash"),
        ({"mask_path": "https://elsewhere.example"}, "mask_path: begins with a slash"),
        ({"max_images": 0}, "max_images: at least 1"),
        ({"credits_per_usd": -1}, "credits_per_usd: at least 0"),
        ({"body": {"day": date(2026, 1, 1)}}, "body: holds what JSON does not have"),
        ({"edit_defaults": {"much": float("inf")}}, "edit_defaults: holds what JSON does not have"),
        ({"models": {"m": {"steps": 4}}}, r"^providers\.house\.models\.m\.steps: "),
        ({"models": {"m": {"options": ["steps"]}}}, "options: 'steps' is none"),
        ({"sizes": "size"}, r"^providers\.house\.sizes: is no such key"),
    ],
)
def test_what_is_wrong_is_told_at_the_start(keys: dict[str, Any], what: str) -> None:
    """By the name of the switch, before anything is served."""
    with pytest.raises(ConfigError, match=what):
        provider_config("house", table(**{"base_url": HERE} | keys), TYPES)


def test_every_switch_may_be_said_beside_a_preset() -> None:
    """The settings have all of them; one that is said goes before the preset, the others stay."""
    own = {field.name for field in dataclasses.fields(CompatibleSettings)} - {"dialect", "models"}
    assert own == {field.name for field in dataclasses.fields(Switches)} - {"base_url", "models"}

    switches = CompatibleSettings("recraft", edit_options=(), edit_defaults={}, credits_per_usd=0.0).switches()
    assert switches == dataclasses.replace(PRESETS["recraft"], edit_options=(), edit_defaults={}, credits_per_usd=0.0)
    assert CompatibleSettings("sglang").switches() == PRESETS["sglang"]


def test_models_are_a_table_of_their_own() -> None:
    """By name, in TOML as `[providers.NAME.models."ID"]`."""
    config = provider_config(
        "house", table(base_url=HERE, models={"flux": {"mask": False, "sizes": ["512x512"]}, "other": {}}), TYPES
    )

    assert isinstance(config.settings, CompatibleSettings)
    assert config.settings.models == {"flux": ModelSettings(mask=False, sizes=("512x512",)), "other": ModelSettings()}


def test_the_adapter_is_not_imported_before_it_is_needed() -> None:
    """Naming the provider costs nothing at start-up."""
    code = (
        "import sys; from imagegen_server.providers.openai_compatible import PROVIDER, CompatibleSettings\n"
        "assert 'imagegen_server.providers.openai_compatible.provider' not in sys.modules\n"
        "PROVIDER.build('house', CompatibleSettings())\n"
        "assert 'imagegen_server.providers.openai_compatible.provider' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

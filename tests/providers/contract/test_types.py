"""What every provider type is to whoever configures it: its settings, its key, its page, and its price unused."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Any

import pytest
from imagegen_server.config.providers import ProviderTable, implicit_tables, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.domain.errors import Reason
from imagegen_server.providers.base import ProviderType, Remote
from imagegen_server.providers.registry import ENTRY_POINT_GROUP

from tests.support.docs_page import Page

from .kit import BY_ITSELF, Kit, kit_name, kits

KITS = pytest.mark.parametrize("kit", kits(), ids=kit_name)
_NUMBERED = re.compile(r"_\d+$|\[\]$")


def ours() -> dict[str, ProviderType[object]]:
    """Load the types that the server itself brings."""
    points = entry_points(group=ENTRY_POINT_GROUP)
    return {point.name: point.load() for point in points if point.value.startswith("imagegen_server.")}


INSTALLED = pytest.mark.parametrize("kit", [kit for kit in kits() if kit.name in ours()], ids=kit_name)


def test_every_type_has_a_kit() -> None:
    """What the server brings is held to this contract; README.md beside this file says how."""
    assert set(ours()) - set(BY_ITSELF) <= {kit.name for kit in kits()}


def test_types_have_their_own_names_and_variables() -> None:
    """No two are called the same, or take the same key without being told."""
    types = {**ours(), **{kit.name: kit.kind for kit in kits()}}
    variables = [kind.remote.key_env for kind in types.values() if kind.remote and kind.remote.key_env]

    assert all(name == kind.name for name, kind in types.items())
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize("kind", [*ours().values(), *(kit.kind for kit in kits())], ids=lambda kind: kind.name)
def test_settings_are_a_frozen_dataclass(kind: ProviderType[object]) -> None:
    """With a docstring, and with a default for every key, so that one table line is enough."""
    assert dataclasses.is_dataclass(kind.settings)
    assert vars(kind.settings)["__dataclass_params__"].frozen
    assert kind.settings.__doc__
    assert not kind.settings.__doc__.startswith(f"{kind.settings.__name__}(")
    assert kind.settings() == kind.settings()


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Tell which modules are there once all types have been loaded and none is set up."""
    program = (
        "import json, sys; from importlib.metadata import entry_points;"
        f"points = entry_points(group={ENTRY_POINT_GROUP!r});"
        "[point.load() for point in points if point.value.startswith('imagegen_server.')];"
        "print(json.dumps(sorted(sys.modules)))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=environment).stdout
    return set(json.loads(told))


@pytest.mark.parametrize("name", ours())
def test_an_adapter_is_imported_when_it_is_set_up(name: str, imported: set[str]) -> None:
    """Before that, of its package only the type and its settings are."""
    package = f"imagegen_server.providers.{name.replace('-', '_')}"
    loaded = {module.removeprefix(package) for module in imported if module.startswith(f"{package}.")}

    assert loaded <= {".settings"}


def test_heavy_packages_are_imported_when_they_are_used(imported: set[str]) -> None:
    """Those of vendors and of clouds take longer to load than the server itself."""
    assert imported.isdisjoint(
        {"google.auth", "botocore", "boto3", "azure.identity", "requests", "PIL", "numpy", "grpc"}
    )


def variables_of(remote: Remote[Any]) -> set[str]:
    """List the variables that settings are read from."""
    several = [(names,) if isinstance(names, str) else names for names in remote.settings_env.values()]
    return {name for names in several for name in names}


def set_up(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say in the environment what a provider needs."""
    assert kit.kind.remote is not None
    key = {kit.kind.remote.key_env: kit.key} if kit.kind.remote.key_env else {}
    for name, value in {**key, **kit.environment}.items():
        monkeypatch.setenv(name, value)


@KITS
def test_the_environment_is_enough(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the vendor's variable the provider is there without a table, wherever the server listens; else it is not."""
    remote = kit.kind.remote
    assert remote is not None
    types = {kit.name: kit.kind}
    for name in {remote.key_env or "NONE", *variables_of(remote), *kit.environment}:
        monkeypatch.delenv(name, raising=False)
    assert implicit_tables(types, loopback=True) == {}

    set_up(kit, monkeypatch)
    assert list(implicit_tables(types, loopback=False)) == ([kit.name] if remote.key_env else [])
    config = provider_config(kit.name, ProviderTable.model_validate(kit.table), types)

    assert config.http is not None
    assert config.http.base_url.startswith("https://")
    assert [key.secret.reveal() for key in config.upstream.keys] == [kit.key]
    assert kit.key not in repr(config)


@KITS
def test_a_key_does_not_go_elsewhere_by_mistake(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of another name with an address of its own gets the vendor's key only if it says so."""
    set_up(kit, monkeypatch)
    table = ProviderTable.model_validate({"type": kit.name, "base_url": "https://gateway.example"})
    with suppress(ConfigError):
        assert provider_config("gateway", table, {kit.name: kit.kind}).upstream.keys == ()


@KITS
def test_the_page_tells_what_an_operator_needs(kit: Kit) -> None:
    """The key's variable, every setting, every param that is an option or is refused, the errors, what was not run."""
    page, provider, remote = Page(kit.page or f"{kit.name}.md"), kit.provider(), kit.kind.remote
    assert remote is not None
    # One of several with numbers stands for all of them.
    params = {_NUMBERED.sub("", name) for name in {*provider.param_options, *provider.controlled_params}}
    if kit.variant:
        # Fields that the settings name stand there as values of the settings.
        params = set()
    settings = {field.name for field in dataclasses.fields(kit.kind.settings)}

    assert not remote.key_env or f"export {remote.key_env}=" in page.text
    assert [name for name in sorted(params) if f"`{name}`" not in page.text] == []
    assert settings <= set(re.findall(r"\w+", page.text))
    assert {Reason(number).name for number in range(1, 12)} - set(page.text.replace("|", " ").split()) == set()
    assert "It was never run against the live service." in page.sentences
    assert f"[providers.{kit.name}]" in page.text or f'type = "{kit.name}"' in page.text


@INSTALLED
def test_the_configuration_page_has_a_part_for_it(kit: Kit) -> None:
    """With its variable in the table of those that are there by themselves."""
    page = Page("configuration.md")
    assert kit.kind.remote is not None
    variable = kit.kind.remote.key_env

    assert f'\n### type = "{kit.name}"\n' in page.text
    assert not variable or f"| `{kit.name}` | `{variable}`" in page.text

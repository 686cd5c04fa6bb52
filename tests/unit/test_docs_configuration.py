"""docs/configuration.md names every key, default and variable, truly."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from imagegen_server import cli, config
from imagegen_server.config.fetching import FetchTable
from imagegen_server.config.keys import _COMMAND_SECONDS, KeyReference
from imagegen_server.config.loading import _File
from imagegen_server.config.prices import PriceTable
from imagegen_server.config.providers import ProviderTable, RemoteTable, RetryTable
from imagegen_server.generation.middleware_types import MiddlewareType
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.providers.base import ProviderType
from imagegen_server.providers.openai import PROVIDER as OPENAI
from imagegen_server.providers.registry import installed_types
from imagegen_server.providers.sandbox import PROVIDER as SANDBOX
from imagegen_server.store.persist import MIDDLEWARE as PERSIST
from imagegen_server.telemetry.generation_log import MIDDLEWARE as LOG

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
EXAMPLES = ("darkroom", "swatch")
"""Providers of examples/, which the tests have installed."""

TYPES: Mapping[str, ProviderType[Any]] = {"openai": OPENAI, "sandbox": SANDBOX}
MIDDLEWARE: Mapping[str, MiddlewareType[Any]] = {"log": LOG, "persist": PERSIST}
REMOTE = "Providers reached by HTTP"
RETRY = "[providers.NAME.retry]"
TABLES: Mapping[str, Mapping[str, object]] = {
    "[server]": dict(config.ServerTable()),
    "[store]": dict(config.StoreTable()),
    "[fetch]": dict(FetchTable()),
    "[providers.NAME]": dict(ProviderTable()),
    RETRY: dict(RetryTable()),
    REMOTE: dict(RemoteTable()),
    'type = "openai"': {item.name: item.default for item in fields(OPENAI.settings)},
    'type = "sandbox"': {item.name: item.default for item in fields(SANDBOX.settings)},
}
PATHS = {"[server]": "server", "[store]": "store", "[fetch]": "fetch"}
PROVIDERS = {
    "[providers.NAME]": "sandbox",
    RETRY: "sandbox.retry",
    REMOTE: "openai",
    'type = "openai"': "openai",
    'type = "sandbox"': "sandbox",
}
"""The provider that a test sets up to look at what a heading describes, or a table of that provider."""
FILES = ("tls", "tokens", "password", "bytes")
"""Tables that name files, variables, commands or places, which are not there by default."""
UNSET = (*FILES, "max_connection_age")
"""Keys without a default."""
IN_WORDS = dict.fromkeys(FILES, "none") | {
    "max_connection_age": "no limit",
    "type": "the table's name",
    "requests_per_minute": "no limit",
    "retry": "see below",
    "base_url": "that of the type",
    "api_key": "the type's variable",
}
"""Defaults that the page does not write as values."""

PLACES = {"AWS_REGION": "us-west-2", "AZURE_OPENAI_ENDPOINT": "https://name.openai.azure.com"}
"""Variables beside the key that some providers need, with a value."""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the key without which `openai` is a fault, and no proxy."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def section(heading: str) -> str:
    """Read what stands under a heading of configuration.md."""
    return re.split(r"\n#+ ", PAGE.read_text().partition(f"# {heading}\n")[2])[0]


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """Read the table under a heading of configuration.md: environment and default by key, as written there."""
    found = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \|", section(heading), re.MULTILINE)
    return {key: (variable, default.strip("`")) for key, variable, default in found}


def values(heading: str) -> dict[str, tuple[str, str]]:
    """Read the rows whose default is written as a value."""
    return {key: row for key, row in rows(heading).items() if row[1] != IN_WORDS.get(key)}


def example() -> str:
    """The complete example of configuration.md."""
    found: list[str] = re.findall(r"```toml\n(.+?)```", PAGE.read_text(), re.DOTALL)
    assert len(found) == 1
    return found[0]


def provider_of(loaded: config.Config, name: str) -> config.ProviderConfig:
    """Find a provider in a loaded configuration."""
    (provider,) = [provider for provider in loaded.providers if provider.name == name]
    return provider


def table_of(loaded: config.Config, heading: str) -> Mapping[str, object]:
    """Find in a loaded configuration what a heading of configuration.md describes, but for defaults in words."""
    if heading == "[fetch]":
        return {"allow": loaded.fetch.allow, "timeout": loaded.fetch.max_seconds}
    if heading in PATHS:
        return {key: getattr(getattr(loaded, PATHS[heading]), key) for key in values(heading)}
    provider = provider_of(loaded, provider_name(heading))
    held_by = {
        "[providers.NAME]": (provider, provider.upstream.queue),
        RETRY: (provider.upstream.retry,),
        REMOTE: (provider.http, provider.upstream),
    }.get(heading, (provider.settings,))
    return {key: next(getattr(one, key) for one in held_by if hasattr(one, key)) for key in values(heading)}


def provider_name(heading: str) -> str:
    """Name the provider that is set up to look at what a heading describes; empty where none is needed."""
    return PROVIDERS.get(heading, "").partition(".")[0]


def defaults(heading: str) -> Mapping[str, object]:
    """Find the defaults in the code, but for those that the page tells in words."""
    return {key: value for key, value in TABLES[heading].items() if key in values(heading)}


@pytest.mark.parametrize("heading", TABLES)
def test_the_configuration_page_names_every_key_and_no_other(heading: str) -> None:
    """A key that comes or goes changes the page."""
    assert list(rows(heading)) == list(TABLES[heading])


def test_the_configuration_page_names_every_table() -> None:
    """The sections of the file are those of the page."""
    assert set(_File.model_fields) == {"server", "store", "fetch", "providers", "aliases", "prices", "middleware"}
    for heading in ("[server]", "[store]", "[fetch]", "[providers.NAME]", "[aliases]", "[prices]", "[middleware.NAME]"):
        assert f"\n## {heading}\n" in PAGE.read_text()


@pytest.mark.parametrize("heading", TABLES)
def test_the_defaults_are_stated_truly(heading: str, tmp_path: Path) -> None:
    """A file with every default as the page writes it means the same as no file."""
    stated = {key: default for key, (_, default) in values(heading).items()}
    name = heading if heading in PATHS else f"[providers.{PROVIDERS[heading]}]"
    file = tmp_path / "imagegen.toml"
    file.write_text("\n".join([name, *(f"{key} = {default}" for key, default in stated.items())]))

    assert stated
    assert table_of(config.load_config(TYPES, path=file), heading) == defaults(heading)
    assert table_of(config.load_config(TYPES), heading) == defaults(heading)


def test_the_defaults_in_words_are_true() -> None:
    """The type is the table's name; address and variable are those of the type, and the page names them."""
    told = {key: row[1] for heading in TABLES for key, row in rows(heading).items() if key not in values(heading)}
    assert told == IN_WORDS

    provider = provider_of(config.load_config(TYPES), "openai")
    assert provider.type is OPENAI
    assert provider.http is not None
    assert f"`base_url` is `{provider.http.base_url}` by default" in section('type = "openai"')
    assert OPENAI.remote is not None
    assert f"`{OPENAI.remote.key_env}`" in section('type = "openai"')
    assert [key.secret.reveal() for key in provider.upstream.keys] == ["sk-test"]
    assert provider.upstream.queue.requests_per_minute is None
    assert provider.upstream.retry == RetrySettings()


def test_the_page_names_the_providers_that_need_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are there, and no others: most by their keys, one on loopback."""
    built_in = {name: kind for name, kind in installed_types().items() if name not in EXAMPLES}
    text = section("[providers.NAME]").partition("| provider | when |")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^\| `([\w-]+)` \| (?:`(\w+)`|the server) ", text, re.MULTILINE))
    monkeypatch.delenv("OPENAI_API_KEY")

    assert told == {
        name: kind.remote.key_env if kind.remote else ""
        for name, kind in built_in.items()
        if kind.implicit_on_loopback or (kind.remote and kind.remote.key_env)
    }
    assert [provider.name for provider in config.load_config(built_in).providers] == ["sandbox"]
    for variable in filter(None, told.values()):
        monkeypatch.setenv(variable, "a key")
    for variable, value in PLACES.items():
        monkeypatch.setenv(variable, value)
    assert [provider.name for provider in config.load_config(built_in).providers] == sorted(told)


def test_the_configuration_page_names_every_form_of_a_key() -> None:
    """The three references, and how long a command may take."""
    forms = re.findall(r"^\| `\{(\w+) = ", section(REMOTE), re.MULTILINE)

    assert forms == [field for field in KeyReference.model_fields if field != "weight"]
    assert "an optional `weight`" in section(REMOTE)
    assert f"within {_COMMAND_SECONDS:g} s" in section(REMOTE)


def test_the_configuration_page_names_every_price() -> None:
    """Each with its default; none stands for no price, which is not 0."""
    found = re.findall(r"^\| `(\w+)` \| (.+?) \|", section("[prices]"), re.MULTILINE)
    defaults_of_code = {key: "none" if value is None else f'`"{value}"`' for key, value in dict(PriceTable()).items()}

    assert dict(found) == defaults_of_code


def test_the_prices_of_the_page_load_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the page shows is one."""
    (shown,) = re.findall(r"^IMAGEGEN__PRICES='(.+)'$", section("[prices]"), re.MULTILINE)
    monkeypatch.setenv("IMAGEGEN__PRICES", shown)

    assert list(config.load_config(TYPES).prices) == ["openai/gpt-image-2"]


@pytest.mark.parametrize("heading", TABLES)
def test_the_environment_names_are_true(heading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable of the page sets its key, with the default's value written without quotes."""
    words = {
        "type": "sandbox",
        "requests_per_minute": "60",
        "retry": '{"max_attempts": 2}',
        "base_url": "https://api.openai.com/v1",
        "api_key": '{"env": "OPENAI_API_KEY"}',
    }
    for key, (variable, default) in rows(heading).items():
        if key in UNSET:
            continue
        value = default.strip('"') if key in values(heading) else words[key]
        monkeypatch.setenv(variable.replace("__NAME__", f"__{provider_name(heading).upper()}__"), value)

    assert table_of(config.load_config(TYPES), heading) == defaults(heading)


@pytest.mark.parametrize("heading", TABLES)
def test_the_environment_names_are_those_of_the_keys(heading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that no key takes is refused under the key that stands beside the variable."""
    for key, (variable, _) in rows(heading).items():
        table = PATHS.get(heading) or f"providers.{PROVIDERS[heading]}"
        with monkeypatch.context() as patch:
            patch.setenv(variable.replace("__NAME__", f"__{provider_name(heading).upper()}__"), "[[3]]")
            with pytest.raises(config.ConfigError, match=re.escape(f"{table}.{key}")):
                config.load_config(TYPES)


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("IMAGEGEN__SERVER__DRAIN", "7s", ("server", "drain")),
        ("IMAGEGEN__STORE__TTL", "7s", ("store", "ttl")),
    ],
)
def test_the_environment_wins_over_the_file(
    variable: str, value: str, key: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key by key: the neighbours stay those of the file."""
    file = tmp_path / "imagegen.toml"
    file.write_text('[server]\ndrain = "1s"\nmax_calls = 3\n[store]\nttl = "1s"\n')
    monkeypatch.setenv(variable, value)

    loaded = config.load_config(TYPES, path=file)

    assert getattr(getattr(loaded, key[0]), key[1]) == 7.0
    assert loaded.server.max_calls == 3


def test_the_example_is_complete_and_right(tmp_path: Path) -> None:
    """It has every key of [server], [store], [fetch], openai and the sandbox that has a default, and loads."""
    given = tomllib.loads(example())
    file = tmp_path / "imagegen.toml"
    file.write_text(example())

    loaded = config.load_config(TYPES, path=file, middleware=MIDDLEWARE)

    assert list(given["server"]) == [key for key in TABLES["[server]"] if key not in UNSET]
    assert list(given["store"]) == [key for key in TABLES["[store]"] if key not in FILES]
    assert list(given["fetch"]) == list(TABLES["[fetch]"])
    shared = [key for key in TABLES["[providers.NAME]"] if key not in {"type", "requests_per_minute"}]
    assert list(given["providers"]["openai"]) == [*shared, *TABLES[REMOTE], *TABLES['type = "openai"']]
    assert list(given["providers"]["openai"]["retry"]) == list(TABLES[RETRY])
    assert list(given["providers"]["sandbox"]) == [*shared[:-1], *TABLES['type = "sandbox"']]
    assert loaded.server == config.ServerTable()
    assert loaded.store == config.StoreTable()
    assert loaded.fetch == config.load_config(TYPES).fetch
    by_default = config.load_config(TYPES)
    for name in TYPES:
        assert provider_of(loaded, name) == provider_of(by_default, name)
    assert [(one.name, one.type.name) for one in loaded.middleware] == [("log", "log"), ("persist", "persist")]
    assert loaded.aliases
    assert {key for price in given["prices"].values() for key in price} == set(PriceTable.model_fields)


def test_the_output_of_check_config_is_that_of_the_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the page shows under the example is what the command prints."""
    file = tmp_path / "imagegen.toml"
    file.write_text(example())

    assert cli._show_config(config.load_config(TYPES, path=file, middleware=MIDDLEWARE)) == 0
    assert f"imagegen.toml\n{capsys.readouterr().out}```" in PAGE.read_text()

"""The pages of docs/ say what the code does."""

import re
import tomllib
from argparse import _SubParsersAction
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import grpc
import pytest
from imagegen_server import cli, config
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.generation import admission, engine, runner
from imagegen_server.providers.sandbox import PROVIDER as SANDBOX
from imagegen_server.rpc import server as rpc_server
from imagegen_server.rpc.status import CODES
from imagegen_server.store import memory

DOCS = Path(__file__).parents[2] / "docs"
TYPES = {"sandbox": SANDBOX}
TABLES: Mapping[str, Mapping[str, object]] = {
    "[server]": dict(config.ServerTable()),
    "[store]": dict(config.StoreTable()),
    "[providers.NAME]": dict(config._ProviderTable()),
    'type = "sandbox"': {item.name: item.default for item in fields(SANDBOX.settings)},
}
PATHS = {"[server]": ("server",), "[store]": ("store",)}


def page(name: str) -> str:
    """Read a page."""
    return (DOCS / name).read_text()


def sentences(name: str) -> str:
    """Read a page as one line, so that a sentence is found wherever it is broken."""
    return " ".join(page(name).split())


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """Read the table under a heading of configuration.md: environment and default by key, as written there."""
    text = re.split(r"\n#+ ", page("configuration.md").partition(f"# {heading}\n")[2])[0]
    found = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \|", text, re.MULTILINE)
    return {key: (variable, default.strip("`")) for key, variable, default in found}


def example() -> str:
    """The complete example of configuration.md."""
    found: list[str] = re.findall(r"```toml\n(.+?)```", page("configuration.md"), re.DOTALL)
    assert len(found) == 1
    return found[0]


def table_of(loaded: config.Config, heading: str) -> Mapping[str, object]:
    """Find in a loaded configuration what a heading of configuration.md describes; the provider is "sandbox"."""
    if heading in PATHS:
        return dict(getattr(loaded, PATHS[heading][0]))
    (provider,) = loaded.providers
    if heading == "[providers.NAME]":
        return {"type": "", "timeout": provider.timeout}
    return {item.name: getattr(provider.settings, item.name) for item in fields(SANDBOX.settings)}


@pytest.mark.parametrize("heading", TABLES)
def test_the_configuration_page_names_every_key_and_no_other(heading: str) -> None:
    """A key that comes or goes changes the page."""
    assert list(rows(heading)) == list(TABLES[heading])


def test_the_configuration_page_names_every_table() -> None:
    """The sections of the file are those of the page."""
    assert set(config._File.model_fields) == {"server", "store", "providers", "aliases"}
    for heading in ("[server]", "[store]", "[providers.NAME]", "[aliases]"):
        assert f"\n## {heading}\n" in page("configuration.md")


@pytest.mark.parametrize("heading", TABLES)
def test_the_defaults_are_stated_truly(heading: str, tmp_path: Path) -> None:
    """A file with every default as the page writes it means the same as no file."""
    stated = {key: default for key, (_, default) in rows(heading).items() if key != "type"}
    name = heading if heading in PATHS else "[providers.sandbox]"
    file = tmp_path / "imagegen.toml"
    file.write_text("\n".join([name, *(f"{key} = {default}" for key, default in stated.items())]))

    assert table_of(config.load_config(TYPES, path=file), heading) == TABLES[heading]


def test_the_default_type_is_the_name_of_the_table() -> None:
    """What the page says of `type` in words."""
    assert rows("[providers.NAME]")["type"][1] == "the table's name"
    (provider,) = config.load_config(TYPES).providers
    assert (provider.name, provider.type) == ("sandbox", SANDBOX)


@pytest.mark.parametrize("heading", TABLES)
def test_the_environment_names_are_true(heading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable of the page sets its key, with the default's value written without quotes."""
    for variable, default in rows(heading).values():
        value = "sandbox" if default == "the table's name" else default.strip('"')
        monkeypatch.setenv(variable.replace("__NAME__", "__SANDBOX__"), value)

    assert table_of(config.load_config(TYPES), heading) == TABLES[heading]


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
    """It has every key of [server], [store] and the sandbox, at the default, and loads."""
    given = tomllib.loads(example())
    file = tmp_path / "imagegen.toml"
    file.write_text(example())

    loaded = config.load_config(TYPES, path=file)

    assert list(given["server"]) == list(TABLES["[server]"])
    assert list(given["store"]) == list(TABLES["[store]"])
    assert list(given["providers"]["sandbox"]) == ["timeout", *TABLES['type = "sandbox"']]
    assert loaded.server == config.ServerTable()
    assert loaded.store == config.StoreTable()
    assert loaded.providers[0].settings == SANDBOX.settings()
    assert loaded.aliases


def test_the_output_of_check_config_is_that_of_the_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the page shows under the example is what the command prints."""
    file = tmp_path / "imagegen.toml"
    file.write_text(example())

    assert cli._show_config(config.load_config(TYPES, path=file)) == 0
    assert f"imagegen.toml\n{capsys.readouterr().out}```" in page("configuration.md")


def test_the_operations_page_names_every_command_and_option() -> None:
    """What the command line takes is on the page."""
    parser = cli._parser()
    (commands,) = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    for name in commands.choices:
        assert f"`imagegen-server {name}" in page("operations.md")
    options = {text for action in commands.choices["serve"]._actions for text in action.option_strings}
    for option in options - {"-h", "--help"}:
        assert option in page("operations.md")


def test_the_operations_page_names_what_health_is_asked_for() -> None:
    """Both services, and a provider by its name."""
    for name in (*rpc_server.SERVICES, rpc_server.health_name("NAME")):
        assert f"`{name}`" in page("operations.md")


def test_the_numbers_of_the_operations_page_are_those_of_the_code() -> None:
    """Times, sizes and waits that an operator reckons with."""
    text = sentences("operations.md")
    options: dict[str, Any] = dict(rpc_server._options(rpc_server.ListenSettings()))

    assert options["grpc.http2.max_ping_strikes"] == 0
    quiet, answer = (options[f"grpc.keepalive_{name}_ms"] // 1000 for name in ("time", "timeout"))
    assert f"quiet for {quiet} s and closes it if no answer comes for {answer} s" in text
    assert f"after {quiet + answer} to {2 * quiet + answer} s" in text
    assert f"takes nothing for {rpc_server.SLOW_READER_SECONDS:g} s" in text
    assert f"`server.max_calls` | {admission._RETRY_SECONDS:g} s" in text
    assert f"`store.max_bytes` | {memory._BUSY_RETRY_SECONDS:g} s" in text
    assert f"{admission._UNKNOWN_IMAGE_BYTES // 2**20} MiB if the size is not known" in text
    assert f"at least {admission._SMALLEST_ESTIMATE // 2**10} KiB and at most {MAX_IMAGE_BYTES // 2**20} MiB" in text
    assert f"less than {engine.SHORTEST_DEADLINE_SECONDS:g} s left" in text
    assert f"ends {engine.ANSWER_SECONDS:g} s before" in text
    assert f"has {runner.STOP_GRACE_SECONDS:g} s to let go" in text
    assert f"at most `drain` ({config.ServerTable().drain:g} s)" in text


@pytest.mark.parametrize("reason", Reason)
def test_the_errors_page_has_the_code_and_the_bill_that_the_server_sends(reason: Reason) -> None:
    """The contract in words is the one in the code."""
    name = f"ERROR_REASON_{reason.name}"
    (row,) = re.findall(rf"^\| \[`{name}`\]\S+ \| (.+?) \| (.+?) \|", page("errors.md"), re.MULTILINE)
    code, billed = row
    error = ImageError(reason, "")

    assert CODES[reason].name in code
    assert error.billed.name.lower() in billed
    if reason not in (Reason.NETWORK_ERROR, Reason.CONTENT_FILTERED):
        assert code == CODES[reason].name
        assert billed.split()[0] == error.billed.name.lower()


def test_the_errors_page_tells_both_sides_of_a_network_error() -> None:
    """UNAVAILABLE, which clients retry by themselves, only where nothing was sent."""
    assert "UNAVAILABLE if nothing was sent, INTERNAL if it may have been" in page("errors.md")
    assert ImageError(Reason.NETWORK_ERROR, "", sent=False).billed is Billed.NO
    assert CODES[Reason.NETWORK_ERROR] is grpc.StatusCode.INTERNAL

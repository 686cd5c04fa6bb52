"""Keys: where they may be, and that none is ever shown."""

import json
import sys
from pathlib import Path

import pytest
from imagegen_server import cli
from imagegen_server.app import build_providers, build_upstreams
from imagegen_server.config import Config, keys, load_config
from imagegen_server.config.keys import KeyReference
from imagegen_server.domain.secret import Secret

from tests.support.remotes import KEY, REMOTES
from tests.support.settings import complaint, write
from tests.support.settings import keys as named

FORMS = '{env = "NAME"}, {file = "PATH"} or {command = ["PROGRAM", "ARGUMENT"]}'


def with_key(folder: Path, api_key: object) -> Config:
    """Load a file whose provider has this `api_key`."""
    return load_config(REMOTES, path=write(folder, f"[providers.far]\napi_key = {toml(api_key)}"))


def toml(value: object) -> str:
    """Write a value; of what is needed here, all but tables is the same in JSON."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} = {toml(item)}' for name, item in value.items())}}}"
    return json.dumps(value)


def key_of(folder: Path, api_key: object) -> str:
    """Read the key of such a provider."""
    (provider,) = with_key(folder, api_key).providers
    (key,) = provider.upstream.keys
    return key.secret.reveal()


def refused(folder: Path, api_key: object) -> str:
    """Tell what such a provider is refused for."""
    (line,) = complaint(lambda: with_key(folder, api_key))
    return line


def printing(text: str) -> list[str]:
    """Make a command that prints this."""
    return [sys.executable, "-S", "-c", f"import sys; sys.stdout.buffer.write({text.encode()!r})"]


def file_of(folder: Path, data: bytes) -> dict[str, str]:
    """Refer to a file that holds this."""
    path = folder / "key"
    path.write_bytes(data)
    return {"file": str(path)}


def test_a_key_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the reference names, and not the usual one."""
    monkeypatch.setenv("FAR_API_KEY", "usual")
    monkeypatch.setenv("mine", KEY)

    assert key_of(tmp_path, {"env": "mine"}) == KEY


def test_a_key_of_a_file(tmp_path: Path) -> None:
    """Without the line's end, or whatever space is around it."""
    assert key_of(tmp_path, file_of(tmp_path, f"{KEY}\n".encode())) == KEY
    assert key_of(tmp_path, file_of(tmp_path, f"\n {KEY}\t\r\n\n".encode())) == KEY


def test_a_key_that_a_command_prints(tmp_path: Path) -> None:
    """Run as it is written, without a shell."""
    assert key_of(tmp_path, {"command": printing(f"{KEY}\n")}) == KEY
    echo = [sys.executable, "-S", "-c", "import sys; print(sys.argv[1])", "$HOME `x` 'y'"]
    assert key_of(tmp_path, {"command": echo}) == "$HOME `x` 'y'"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY__ENV", "MINE"),
        ("API_KEY", '{"env": "MINE"}'),
        ("API_KEY__COMMAND", json.dumps(printing(KEY))),
        ("API_KEY", json.dumps({"command": printing(KEY)})),
    ],
)
def test_a_reference_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """By its parts, or as JSON."""
    monkeypatch.setenv("MINE", KEY)
    monkeypatch.setenv(f"IMAGEGEN__PROVIDERS__FAR__{name}", value)

    (provider,) = load_config(REMOTES).providers

    assert [key.secret for key in provider.upstream.keys] == [Secret(KEY)]


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_a_variable_without_a_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Unset, empty and blank alike; a name in capitals is one and is repeated."""
    if value is not None:
        monkeypatch.setenv("MINE_2", value)

    assert refused(tmp_path, {"env": "MINE_2"}) == (
        "providers.far.api_key: the environment variable MINE_2 is empty or not set"
    )


@pytest.mark.parametrize("data", [b"", b" \n\n"])
def test_a_file_without_a_key_is_told(tmp_path: Path, data: bytes) -> None:
    """Empty and blank alike."""
    assert refused(tmp_path, file_of(tmp_path, data)) == "providers.far.api_key: the file is empty"


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_a_command_that_prints_nothing_is_told(tmp_path: Path, text: str) -> None:
    """Although it ended well."""
    line = refused(tmp_path, {"command": printing(text)})

    assert line == "providers.far.api_key: the output of the command is empty"


@pytest.mark.parametrize("text", [f"{KEY}\nsecond", f"{KEY}\0", f"{KEY}ü", f"{KEY}\x1b[0m", f"\ufeff{KEY}"])
def test_what_fits_into_no_header_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Several lines, control characters and what is beyond ASCII, from everywhere; and it is not shown."""
    references: list[dict[str, object]] = [{**file_of(tmp_path, text.encode())}, {"command": printing(text)}]
    if "\0" not in text:
        monkeypatch.setenv("MINE", text)
        references.append({"env": "MINE"})

    for reference in references:
        line = refused(tmp_path, reference)
        assert line.startswith("providers.far.api_key: ")
        assert line.endswith("holds more than one line, or characters that no key has")
        assert KEY not in line


def test_the_usual_variable_is_held_against_the_same_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged key is told by the name of its variable, without a table and without the key."""
    monkeypatch.setenv("FAR_API_KEY", f"{KEY}\n{KEY}")

    (line,) = complaint(lambda: load_config(REMOTES))

    assert line.startswith("providers.far.api_key: the environment variable FAR_API_KEY holds more than one line")
    assert KEY not in line


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Missing, a folder, no text, and no path at all."""
    (tmp_path / "folder").mkdir()

    for reference, reason in (
        ({"file": str(tmp_path / "missing")}, "cannot be read: No such file or directory"),
        ({"file": str(tmp_path / "folder")}, "cannot be read: Is a directory"),
        (file_of(tmp_path, b"\xff\xfe"), "is no text file"),
        ({"file": "a\0b"}, "is no text file"),
    ):
        assert refused(tmp_path, reference) == f"providers.far.api_key.file: {reason}"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ([sys.executable, "-S", "-c", f"import sys; print('{KEY}'); sys.exit(3)"], "ended with status 3"),
        (["/no/such/program"], "cannot be run: No such file or directory"),
        (["/"], "cannot be run: Permission denied"),
        (["a\0b"], "cannot be run, or prints no text"),
    ],
    ids=["fails", "absent", "no program", "no name"],
)
def test_a_command_that_does_not_work_is_told(tmp_path: Path, command: list[str], reason: str) -> None:
    """A key that a failing command has printed is not used, and nothing of it is shown."""
    assert refused(tmp_path, {"command": command}) == f"providers.far.api_key.command: {reason}"


def test_a_command_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped, and does not keep the server from telling."""
    monkeypatch.setattr(keys, "_COMMAND_SECONDS", 0.05)
    endless = [sys.executable, "-S", "-c", "import signal; signal.pause()"]

    assert refused(tmp_path, {"command": endless}) == "providers.far.api_key.command: took longer than 0.05 s"


@pytest.mark.parametrize(
    "api_key", [{}, {"env": "A", "file": "b"}, {"file": "b", "command": ["c"]}, {"env": "A", "command": ["c"]}]
)
def test_a_key_is_at_exactly_one_place(tmp_path: Path, api_key: object) -> None:
    """Nobody knows which of two was meant."""
    assert refused(tmp_path, api_key) == f"providers.far.api_key: must be exactly one of {FORMS}"


@pytest.mark.parametrize(
    ("api_key", "key"),
    [
        ({"env": 3}, "env"),
        ({"env": [KEY]}, "env"),
        ({"file": 3}, "file"),
        ({"command": []}, "command"),
        ({"command": KEY}, "command"),
        ({"command": [[KEY]]}, "command.0"),
        ({"value": KEY}, "value"),
        ({"env": "A", "value": KEY}, "value"),
    ],
)
def test_what_is_no_reference_is_named_by_its_key(tmp_path: Path, api_key: object, key: str) -> None:
    """Wrong types and unknown keys, without what they were given."""
    line = refused(tmp_path, api_key)

    assert line.startswith(f"providers.far.api_key.{key}: ")
    assert KEY not in line


@pytest.mark.parametrize("api_key", [KEY, "", [KEY]])
def test_a_key_itself_is_refused_and_not_shown(tmp_path: Path, api_key: object) -> None:
    """A configuration file is no place for it; the message says what is."""
    line = refused(tmp_path, api_key)

    assert named([line]) == [f"providers.far.api_key{'.0' if isinstance(api_key, list) else ''}"]
    assert KEY not in line
    assert line.endswith(f"says where the key is, not what it is; write {FORMS}")


def test_a_key_itself_in_the_environment_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference goes there, and the key into a variable of its own."""
    monkeypatch.setenv("IMAGEGEN__PROVIDERS__FAR__API_KEY", KEY)
    (line,) = complaint(lambda: load_config(REMOTES))
    assert line == f"providers.far.api_key: says where the key is, not what it is; write {FORMS}"

    monkeypatch.setenv("IMAGEGEN__PROVIDERS", f'{{"far": {{"api_key": {KEY}}}}}')
    (line,) = complaint(lambda: load_config(REMOTES))
    assert KEY not in line


@pytest.mark.parametrize("name", ["env", "file", "command"])
def test_a_key_in_the_place_of_its_reference_is_not_shown(tmp_path: Path, name: str) -> None:
    """Who writes {env = "sk-..."} reads that nothing is there, and no log has the key."""
    line = refused(tmp_path, {name: [KEY] if name == "command" else KEY})

    assert line.startswith("providers.far.api_key")
    assert KEY not in line


@pytest.mark.parametrize("text", [f"[providers.far]\nkey = '{KEY}'", f"[providers.far]\naccount = ['{KEY}']"])
def test_a_key_under_another_name_is_not_shown(tmp_path: Path, text: str) -> None:
    """Unknown keys and wrong values are named, never repeated."""
    for line in complaint(lambda: load_config(REMOTES, path=write(tmp_path, text))):
        assert KEY not in line


def test_nothing_of_a_configuration_shows_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not its text, not the providers made from it, and no command; headers and proxies hold keys, too."""
    monkeypatch.setattr(cli, "installed_types", lambda: REMOTES)
    monkeypatch.setenv("FAR_API_KEY", KEY)
    file = write(
        tmp_path,
        f"""
        [providers.far]
        headers = {{X-Key = "{KEY}"}}
        proxy = "http://user:{KEY}@127.0.0.1:1"
        [providers.vault]
        api_key = {toml({"command": printing(KEY)})}
        """,
    )
    config = load_config(REMOTES, path=file)
    made = [*build_providers(config).entries.values(), build_upstreams(config)]

    monkeypatch.setattr(cli, "configure_logs", lambda **_: None)
    assert cli.main(["check-config", "--config", str(file)]) == 0
    assert cli.main(["providers"]) == 0
    out, err = capsys.readouterr()

    assert [provider.name for provider in config.providers] == ["far", "vault"]
    assert out.startswith("listen = 127.0.0.1:50051\nprovider far = far\nprovider vault = vault\n")
    for shown in (out, err, repr(config), str(config), f"{config.providers}", repr(made)):
        assert KEY not in shown


def test_a_reference_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it read is not kept in it."""
    monkeypatch.setenv("MINE", KEY)
    reference = KeyReference(env="MINE")

    assert reference.read("x").reveal() == KEY
    assert KEY not in repr(reference)

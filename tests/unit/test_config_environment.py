"""Settings from the environment: every key, over the file, and nothing unknown."""

from pathlib import Path

import pytest
from imagegen_server.config import Config, load_config

from tests.support.settings import TYPES, Tuning, complaint, keys, write


def load(monkeypatch: pytest.MonkeyPatch, /, file: Path | str = "", **variables: str) -> Config:
    """Load with these variables, named without their prefix."""
    for name, value in variables.items():
        monkeypatch.setenv(f"IMAGEGEN__{name}", value)
    return load_config(TYPES, path=Path(file) if file else None)


def refused(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    """Name the keys for which these variables are refused."""
    return keys(complaint(lambda: load(monkeypatch, **variables)))


def test_every_key_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tables of today, without any file."""
    config = load(
        monkeypatch,
        SERVER__LISTEN="127.0.0.1:7",
        SERVER__MAX_RECEIVE_BYTES="10MB",
        SERVER__MAX_BYTES_IN_FLIGHT="1000",
        SERVER__MAX_INLINE_BYTES="0",
        SERVER__MAX_CALLS="5",
        SERVER__DRAIN="1s",
        SERVER__ALLOW_INSECURE="true",
        SERVER__LOG_LEVEL="debug",
        STORE__URL="memory://",
        STORE__TTL="2h",
        STORE__MAX_BYTES="1MiB",
        PROVIDERS__FAR__TYPE="remote",
        PROVIDERS__FAR__TIMEOUT="30s",
        PROVIDERS__FAR__WORKERS="9",
        PROVIDERS__FAR__BASE_URL="https://example.com/v1",
        ALIASES__DRAFT="far/best",
    )

    server, store = config.server, config.store
    assert (server.listen, server.max_receive_bytes, server.max_bytes_in_flight) == ("127.0.0.1:7", 10_000_000, 1000)
    assert (server.max_inline_bytes, server.max_calls, server.drain) == (0, 5, 1.0)
    assert (server.allow_insecure, server.log_level) == (True, "debug")
    assert (store.url, store.ttl, store.max_bytes) == ("memory://", 7200.0, 1024 * 1024)
    far = config.providers[0]
    assert (far.name, far.type.name, far.timeout) == ("far", "remote", 30.0)
    assert far.settings == Tuning(9, "https://example.com/v1")
    assert config.aliases == {"draft": ("far/best",)}


def test_the_environment_wins_key_by_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it does not say stays as in the file, also within one table."""
    path = write(
        tmp_path,
        """
        [server]
        max_calls = 5
        drain = "1s"
        [providers.far]
        type = "remote"
        timeout = "1s"
        workers = 3
        [aliases]
        draft = "far/a"
        fine = "far/b"
        """,
    )

    config = load(
        monkeypatch, path, SERVER__MAX_CALLS="7", PROVIDERS__FAR__TIMEOUT="2s", ALIASES__DRAFT="far/c", STORE__TTL="1m"
    )

    assert (config.server.max_calls, config.server.drain, config.store.ttl) == (7, 1.0, 60.0)
    far = next(item for item in config.providers if item.name == "far")
    assert (far.timeout, far.settings) == (2.0, Tuning(workers=3))
    assert config.aliases == {"draft": ("far/c",), "fine": ("far/b",)}


def test_names_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables are upper case by custom, and nobody is caught by it."""
    monkeypatch.setenv("imagegen__server__max_calls", "7")

    assert load_config(TYPES).server.max_calls == 7


def test_a_whole_table_may_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that no variable can have are written so."""
    assert load(monkeypatch, ALIASES='{"Draft-1": "sandbox/scene"}').aliases == {"Draft-1": ("sandbox/scene",)}
    assert load(monkeypatch, ALIASES='{"a": ["sandbox/b", "sandbox/c"]}').aliases == {"a": ("sandbox/b", "sandbox/c")}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SERVER__MAX_CALLS", "many", "server.max_calls"),
        ("SERVER__LISEN", "127.0.0.1:1", "server.lisen"),
        ("STORE__TTL", "30", "store.ttl"),
        ("PROVIDERS__SANDBOX__WORKRS", "1", "providers.sandbox.workrs"),
        ("PROVIDERS__SANDBOX__WORKERS", "x", "providers.sandbox.workers"),
        ("PROVIDERS__SANDBOX__TIMEOUT", "600", "providers.sandbox.timeout"),
        ("PROVIDERS__SANDBOX", "x", "providers.sandbox"),
        ("ALIASES__DRAFT", "nothing", "aliases.draft"),
    ],
)
def test_a_wrong_variable_is_named_as_its_key(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    """The path of the key, as for the file."""
    assert refused(monkeypatch, **{name: value}) == [expected]


@pytest.mark.parametrize("name", ["LISTEN", "SERVR__LISTEN", "", "_SERVER__LISTEN"])
def test_an_unknown_section_is_named_as_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A variable with our prefix that means nothing is a typo."""
    (line,) = complaint(lambda: load(monkeypatch, **{name: "x"}))

    assert line.startswith(f"IMAGEGEN__{name}: ")
    assert "IMAGEGEN__SERVER__..." in line


def test_a_table_that_is_no_json_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a crash, and it names the table."""
    (line,) = complaint(lambda: load(monkeypatch, SERVER="127.0.0.1:1"))

    assert '"server"' in line


def test_other_variables_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the client, and anything else, are not read."""
    monkeypatch.setenv("IMAGEGEN_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("SERVER__LISTEN", "0.0.0.0:1")

    assert load_config(TYPES).server.listen == "127.0.0.1:50051"


def test_said_twice_may_be_the_environment_and_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is one of the two times, and alone not enough."""
    assert refused(monkeypatch, SERVER__LISTEN="0.0.0.0:1", SERVER__ALLOW_INSECURE="true") == ["server.listen"]
    assert load_config(TYPES, allow_insecure=True).server.listen == "0.0.0.0:1"

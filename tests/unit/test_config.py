"""The configuration: files, defaults, addresses, providers and aliases."""

from pathlib import Path
from typing import Any

import pytest
from imagegen_server.config import Config, is_loopback, load_config

from tests.support.settings import TYPES, Tuning, complaint, keys, provider_type, write

MIB = 1024 * 1024


def read(folder: Path, text: str, **options: Any) -> Config:
    """Load a file."""
    return load_config(TYPES, path=write(folder, text), **options)


def refused(folder: Path, text: str, **options: Any) -> list[str]:
    """Name the keys for which a file is refused."""
    return keys(complaint(lambda: read(folder, text, **options)))


def test_without_a_file_everything_has_its_default() -> None:
    """Loopback, the documented limits, and the provider that needs no key."""
    config = load_config(TYPES)

    assert config.server.listen == "127.0.0.1:50051"
    assert (config.server.max_receive_bytes, config.server.max_bytes_in_flight) == (65 * MIB, 1024 * MIB)
    assert (config.server.max_inline_bytes, config.server.max_calls, config.server.drain) == (64 * MIB, 1000, 30.0)
    assert (config.server.allow_insecure, config.server.log_level) == (False, "info")
    assert (config.server.workers, config.server.connection_age) == (1, None)
    assert (config.store.url, config.store.ttl, config.store.max_bytes) == ("memory://", 900.0, 512 * MIB)
    assert [(item.name, item.type.name, item.timeout) for item in config.providers] == [("sandbox", "sandbox", 600.0)]
    assert config.aliases == {}


def test_a_file_sets_every_key(tmp_path: Path) -> None:
    """All tables of today, with durations and sizes as people write them."""
    config = read(
        tmp_path,
        """
        [server]
        listen = "127.0.0.1:7"
        max_receive_bytes = "10MiB"
        max_bytes_in_flight = 1000
        max_inline_bytes = 0
        max_calls = 5
        max_connection_age = "10m"
        drain = "1.5s"
        allow_insecure = true
        log_level = "warning"
        [store]
        url = "memory://"
        ttl = "2h"
        max_bytes = "1GB"
        [providers.far]
        type = "remote"
        timeout = "250ms"
        workers = 9
        [providers.remote]
        [aliases]
        draft = "far/best"
        """,
    )

    server, store = config.server, config.store
    assert (server.listen, server.max_receive_bytes, server.max_bytes_in_flight) == ("127.0.0.1:7", 10 * MIB, 1000)
    assert (server.max_inline_bytes, server.max_calls, server.drain) == (0, 5, 1.5)
    assert (server.allow_insecure, server.log_level, server.connection_age) == (True, "warning", 600.0)
    assert (store.ttl, store.max_bytes) == (7200.0, 1_000_000_000)
    assert {item.name: (item.type.name, item.timeout, item.settings) for item in config.providers} == {
        "far": ("remote", 0.25, Tuning(workers=9)),
        "remote": ("remote", 600.0, Tuning()),
        "sandbox": ("sandbox", 600.0, Tuning()),
    }
    assert config.aliases == {"draft": ("far/best",)}


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30.0), ("15m", 900.0), ("24h", 86_400.0), (" 1.5h ", 5400.0)]
)
def test_durations(tmp_path: Path, text: str, seconds: float) -> None:
    """A number with its unit."""
    assert read(tmp_path, f'[store]\nttl = "{text}"').store.ttl == seconds


@pytest.mark.parametrize(
    "value", ["30", '"30"', '"s"', '"-1s"', '"1 s"', '"1d"', '"0s"', "true", '"1e3s"', '"9999999h"', '""']
)
def test_what_is_no_duration_is_named(tmp_path: Path, value: str) -> None:
    """Without a unit nobody knows what is meant; no time at all, or centuries, is not meant."""
    assert refused(tmp_path, f"[store]\nttl = {value}") == ["store.ttl"]


@pytest.mark.parametrize("value", ['"big"', "-1", '"-1MiB"', "0", "[]"])
def test_what_is_no_size_is_named(tmp_path: Path, value: str) -> None:
    """Sizes are positive numbers of bytes, or text with a unit."""
    assert refused(tmp_path, f"[store]\nmax_bytes = {value}") == ["store.max_bytes"]


def test_a_size_that_the_transport_cannot_count_is_named(tmp_path: Path) -> None:
    """The largest message is below 2 GiB, and not a crash when the server starts."""
    assert read(tmp_path, f"[server]\nmax_receive_bytes = {2**31 - 1}").server.max_receive_bytes == 2**31 - 1
    assert refused(tmp_path, '[server]\nmax_receive_bytes = "2GiB"') == ["server.max_receive_bytes"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("colour = 1", ["colour"]),
        ("[servr]\nlisten = 1", ["servr"]),
        ("[server]\nlisen = 1\nmax_cals = 2", ["server.lisen", "server.max_cals"]),
        ("[server]\nworkers = 0\ntokens = {}", ["server.workers", "server.tokens.file"]),
        ("[store]\nrequest_ttl = 1", ["store.request_ttl"]),
        ("[server]\nmax_calls = 0\nlog_level = 'loud'\n[store]\nurl = 'postgres://x'", None),
        ("server = 3", ["server"]),
        ("providers = 3", ["providers"]),
        ("[providers]\nsandbox = 3", ["providers.sandbox"]),
        ("[server]\nlisten = 3", ["server.listen"]),
        ("[aliases]\nx = 3", ["aliases.x"]),
    ],
)
def test_wrong_keys_are_named(tmp_path: Path, text: str, expected: list[str] | None) -> None:
    """Each by its full path, unknown tables and keys, those of later versions and wrong types alike."""
    assert refused(tmp_path, text) == (expected or ["server.max_calls", "server.log_level", "store.url"])


def test_messages_speak_of_tables_and_not_of_classes(tmp_path: Path) -> None:
    """The words are those of the file."""
    lines = complaint(lambda: read(tmp_path, "server = 3\n[providers]\nsandbox = 3"))

    assert lines == ["server: must be a table", "providers.sandbox: must be a table"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, no TOML, no text."""
    for path in (tmp_path / "missing.toml", tmp_path, write(tmp_path, "[server")):
        (line,) = complaint(lambda path=path: load_config(TYPES, path=path))  # type: ignore[misc]
        assert line.startswith(f"{path}: ")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    complaint(lambda: load_config(TYPES, path=tmp_path / "binary"))


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("unix:/tmp/x.sock", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("127.0.0.1.example.com:1", False),
        ("127.evil.example:1", False),
        ("localhost.example.com:1", False),
        ("example.com:1", False),
    ],
)
def test_loopback_is_what_reaches_this_machine_only(listen: str, loopback: bool) -> None:
    """An address, or the one name that means it; names that only look like it do not."""
    assert is_loopback(listen) is loopback


@pytest.mark.parametrize(
    ("said", "said_again", "taken"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_beyond_loopback_it_must_be_said_twice(tmp_path: Path, said: bool, said_again: bool, taken: bool) -> None:
    """Once in the settings and once on the command line."""
    text = f'[server]\nlisten = "0.0.0.0:1"\nallow_insecure = {str(said).lower()}'

    if taken:
        config = read(tmp_path, text, allow_insecure=said_again)
        assert config.server.listen == "0.0.0.0:1"
        assert config.providers == ()
    else:
        (line,) = complaint(lambda: read(tmp_path, text, allow_insecure=said_again))
        assert line.startswith("server.listen: 0.0.0.0:1")
        assert "allow_insecure" in line


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:", ":50051", "127.0.0.1:65536", "127.0.0.1:http", "x"])
def test_an_address_needs_host_and_port(listen: str) -> None:
    """The transport would guess, and serve on a port that nobody meant."""
    assert keys(complaint(lambda: load_config(TYPES, listen=listen))) == ["server.listen"]


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.0.0.1:65535", "localhost:1", "[::1]:1", "unix:/tmp/x.sock"])
def test_good_addresses_are_taken(listen: str) -> None:
    """Any port, any free port, both families and sockets of this machine."""
    assert load_config(TYPES, listen=listen).server.listen == listen


def test_the_command_line_wins(tmp_path: Path) -> None:
    """Its address replaces that of the file, and is checked like it."""
    text = '[server]\nlisten = "127.0.0.1:7"'

    assert read(tmp_path, text, listen="127.0.0.1:8").server.listen == "127.0.0.1:8"
    assert refused(tmp_path, text, listen="0.0.0.0:8") == ["server.listen"]


def test_the_sandbox_is_implicit_on_loopback_only(tmp_path: Path) -> None:
    """Elsewhere it needs a table of its own; a table under its name is not replaced."""
    far = '[server]\nlisten = "0.0.0.0:1"\nallow_insecure = true\n'

    assert read(tmp_path, far, allow_insecure=True).providers == ()
    (named,) = read(tmp_path, far + "[providers.sandbox]", allow_insecure=True).providers
    assert named.name == "sandbox"
    (replaced,) = read(tmp_path, "[providers.sandbox]\ntype = 'remote'\nworkers = 7").providers
    assert (replaced.type.name, replaced.settings) == ("remote", Tuning(workers=7))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[providers.far]", ["providers.far.type"]),
        ("[providers.far]\ntype = 'nope'", ["providers.far.type"]),
        ("[providers.remote]\nworkers = 'x'", ["providers.remote.workers"]),
        ("[providers.remote]\nworkrs = 1\nworkers = 'x'", ["providers.remote.workrs", "providers.remote.workers"]),
        ("[providers.remote]\ntimeout = 3", ["providers.remote.timeout"]),
        ("[providers.'a/b']\ntype = 'remote'", ["providers.a/b"]),
        ("[providers.'']\ntype = 'remote'", ["providers."]),
        ("[providers.a]\n[providers.remote]\nx = 1\n[aliases]\nd = 'x'", None),
    ],
)
def test_what_is_wrong_with_providers_is_told_by_key(tmp_path: Path, text: str, expected: list[str] | None) -> None:
    """Type, own keys and common ones, of every provider and alias at once."""
    assert refused(tmp_path, text) == (expected or ["providers.a.type", "providers.remote.x", "aliases.d"])


def test_a_wrong_type_is_answered_with_the_installed_ones(tmp_path: Path) -> None:
    """Whoever mistypes a type, or a key, reads which ones there are."""
    (line,) = complaint(lambda: read(tmp_path, "[providers.far]\ntype = 'remot'"))
    assert "remote, sandbox" in line
    (line,) = complaint(lambda: read(tmp_path, "[providers.remote]\nworkrs = 1"))
    assert "base_url, concurrency, queue, requests_per_minute, retry, timeout, type, workers" in line
    (line,) = complaint(lambda: load_config({}, path=write(tmp_path, "[providers.far]")))
    assert "none" in line


@pytest.mark.parametrize(
    ("alias", "target"),
    [
        ("draft", "sandbox"),
        ("draft", "sandbox/"),
        ("draft", "other/x"),
        ("draft", "/x"),
        ("a/b", "sandbox/x"),
        ("", "x"),
        ("draft", []),
        ("draft", ["sandbox/x", "sandbox"]),
        ("draft", ["other/x", "sandbox/x"]),
        ("draft", ["sandbox/x", "sandbox/y", "sandbox/x"]),
    ],
)
def test_aliases_are_checked(tmp_path: Path, alias: str, target: str | list[str]) -> None:
    """An alias is a word that means models of configured providers, each once."""
    assert refused(tmp_path, f"[aliases]\n'{alias}' = {target!r}") == [f"aliases.{alias}"]


def test_an_alias_may_mean_several_models(tmp_path: Path) -> None:
    """In the order in which they are to be tried."""
    aliases = read(tmp_path, "[aliases]\ndraft = ['sandbox/b', 'sandbox/a']\nfine = ['sandbox/c']").aliases

    assert aliases == {"draft": ("sandbox/b", "sandbox/a"), "fine": ("sandbox/c",)}


def test_an_alias_may_mean_an_implicit_provider(tmp_path: Path) -> None:
    """The model may be any id, slashes included."""
    assert read(tmp_path, "[aliases]\ndraft = 'sandbox/a/b'").aliases == {"draft": ("sandbox/a/b",)}


def test_types_are_known_by_their_own_names() -> None:
    """Several implicit types are all there."""
    types = {name: provider_type(name, implicit=True) for name in ("one", "two")}

    assert {item.name for item in load_config(types).providers} == {"one", "two"}

"""The command line: what it prints, and the status it ends with."""

import asyncio
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from imagegen_server import __version__, app, cli
from imagegen_server.config import Config
from imagegen_server.providers.registry import ProviderLoadError

from tests.support.callers import Safe
from tests.support.settings import TYPES, write

MODULE = [sys.executable, "-m", "imagegen_server.cli"]


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two types of providers, and leave the logs of the tests as they are."""
    monkeypatch.setattr(cli, "installed_types", lambda: TYPES)
    monkeypatch.setattr(cli, "configure_logs", lambda **_: None)


def exit_status(*arguments: str) -> int:
    """Run a command that argparse ends."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The name and the version, and status 0."""
    assert exit_status("--version") == 0
    assert capsys.readouterr().out == f"imagegen-server {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["sreve"], ["serve", "--lisen", "x"], ["providers", "--config", "x"]])
def test_a_wrong_command_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, and how it is used."""
    assert exit_status(*arguments) == 2
    assert "usage: imagegen-server" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "check-config", "providers", "new-token"])
def test_every_command_has_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help prints and ends well."""
    assert exit_status(command, "--help") == 0
    assert command in capsys.readouterr().out


def test_providers_lists_the_installed_types(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each, ordered by name."""
    assert cli.main(["providers"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["remote", "sandbox"]


def test_a_new_token_comes_with_the_line_for_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two lines on stdout: a token that no other is like, and its hash as the file of callers takes it."""
    tokens = set()
    for _ in range(2):
        assert cli.main(["new-token"]) == 0
        token, line = capsys.readouterr().out.splitlines()
        known = Safe(tmp_path).tokens(f"[callers.billing]\n{line}\n").read()
        assert known.tokens[hashlib.sha256(token.encode()).digest()].name == "billing"
        assert re.fullmatch(r"igt_[A-Za-z0-9_-]{43}", token)
        tokens.add(token)
    assert len(tokens) == 2


def test_a_provider_that_cannot_be_loaded_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2 and the message, and no traceback."""

    def fail() -> None:
        raise ProviderLoadError("provider bad (bad:PROVIDER): no module")

    monkeypatch.setattr(cli, "installed_types", fail)

    for command in ("providers", "check-config", "serve"):
        assert cli.main([command]) == 2
        assert capsys.readouterr().err == "imagegen-server: provider bad (bad:PROVIDER): no module\n"


def test_check_config_shows_what_it_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Address, providers and aliases; the options are those of serve."""
    file = write(
        tmp_path, "[providers.far]\ntype = 'remote'\n[aliases]\ndraft = 'far/best'\nfine = ['far/a', 'sandbox/b']"
    )

    assert cli.main(["check-config", "--config", str(file), "--listen", "127.0.0.1:7"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "listen = 127.0.0.1:7",
        "provider far = remote",
        "provider sandbox = sandbox",
        "alias draft = far/best",
        "alias fine = far/a, sandbox/b",
        "middleware log = log",
    ]


def test_check_config_shows_the_files_of_tls_and_callers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With them it may listen anywhere."""
    safe = Safe(tmp_path)
    table, tokens = safe.tls(), safe.tokens()
    tls = f'{{cert = "{table.cert}", key = "{table.key}"}}'
    file = write(tmp_path, f'[server]\ntls = {tls}\ntokens = {{file = "{tokens.file}"}}')

    assert cli.main(["check-config", "--config", str(file), "--listen", "0.0.0.0:7"]) == 0

    assert capsys.readouterr().out.splitlines()[:3] == [
        "listen = 0.0.0.0:7",
        f"certificate = {table.cert}",
        f"callers = {tokens.file}",
    ]


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_workers_need_a_shared_store(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """More than one is refused before anything starts, in one line."""
    assert cli.main([command, "--workers", "2"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("imagegen-server: server.workers: 2 workers need a store that they share")
    assert err.count("\n") == 1


def test_check_config_shows_the_workers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If there are several."""
    monkeypatch.setenv("IMAGEGEN__STORE__URL", "redis://127.0.0.1:1/0")

    assert cli.main(["check-config", "--workers", "2", "--listen", "127.0.0.1:7"]) == 0
    assert capsys.readouterr().out.startswith("listen = 127.0.0.1:7\nworkers = 2\n")


@pytest.mark.parametrize("number", ["0", "-1", "two", ""])
def test_no_number_of_workers_is_a_usage_error(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, and what it should be."""
    assert exit_status("serve", f"--workers={number}") == 2
    assert f"{number!r} is no number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_a_wrong_setting_is_named(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, nothing on stdout, and every wrong key on stderr."""
    file = write(tmp_path, "[server]\nlisen = 1\nmax_calls = 0")

    assert cli.main([command, "--config", str(file)]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("imagegen-server: ")
    assert "server.lisen" in err
    assert "server.max_calls" in err


def test_insecure_must_be_said_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The flag alone, and the setting alone, are refused."""
    setting = write(tmp_path, "[server]\nallow_insecure = true")
    far = ["check-config", "--listen", "0.0.0.0:7"]

    assert cli.main(far) == 2
    assert cli.main([*far, "--allow-insecure"]) == 2
    assert cli.main([*far, "--config", str(setting)]) == 2
    assert capsys.readouterr().err.count("server.listen") == 3
    assert cli.main([*far, "--config", str(setting), "--allow-insecure"]) == 0


def test_a_port_in_use_fails(capfd: pytest.CaptureFixture[str]) -> None:
    """Status 1 and the address, without a traceback and without saying that it serves."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        assert cli.main(["serve", "--listen", address]) == 1

    out, err = capfd.readouterr()
    assert out == ""
    assert f"imagegen-server: cannot listen on {address}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_and_ends_by_a_signal(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the bound address once it serves, and status 0 after the signal."""
    announce = cli._announce

    def announce_and_stop(address: str) -> None:
        announce(address)
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)

    monkeypatch.setattr(cli, "_announce", announce_and_stop)
    with structlog.testing.capture_logs() as lines:
        assert cli.main(["serve", "--listen", "127.0.0.1:0"]) == 0

    (said,) = capsys.readouterr().out.splitlines()
    start, _, port = said.rpartition(":")
    assert start == f"imagegen-server {__version__} serving on 127.0.0.1"
    assert int(port) > 0
    assert [line["event"] for line in lines] == ["serving", "stopping", "stopped"]


def test_the_second_interrupt_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted while it drains it ends with the status of shells, and no traceback."""

    async def interrupted(_config: Config, _announce: Callable[[str], None]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "serve", interrupted)

    assert cli.main(["serve"]) == 130


def test_it_is_a_module_too() -> None:
    """Run by its name it does the same, with what is really installed."""
    done = subprocess.run([*MODULE, "check-config"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "provider sandbox = sandbox" in done.stdout

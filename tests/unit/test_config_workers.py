"""server.workers: how many processes may serve, and what they need."""

import socket
from pathlib import Path
from typing import Any

import pytest
from imagegen_server.config import load_config, read_server, read_text

from tests.support.settings import TYPES, complaint, write


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every store for one that all workers share."""
    monkeypatch.setenv("IMAGEGEN__STORE__URL", "redis://127.0.0.1:1/0")


def workers(folder: Path, text: str, **said: Any) -> int:
    """Read a file as the command does, and tell how many workers it wants."""
    return read_server(path=write(folder, text), **said)[0].workers


def test_the_command_line_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the environment, which wins over the file; one is enough for any store."""
    monkeypatch.setenv("IMAGEGEN__SERVER__WORKERS", "3")

    assert workers(tmp_path, "[server]\nworkers = 2", workers=1) == 1
    assert load_config(TYPES, path=write(tmp_path, "[server]\nworkers = 2")).server.workers == 3


def test_the_memory_of_one_process_is_not_enough_for_two(tmp_path: Path) -> None:
    """What one of them made could not be had from the other: said plainly, with what to do."""
    (line,) = complaint(lambda: workers(tmp_path, "", workers=2))

    assert line == (
        'server.workers: 2 workers need a store that they share, and store.url = "memory://" is the memory of each '
        "process; set store.url to a shared store, or server.workers = 1"
    )


@pytest.mark.usefixtures("shared")
def test_with_a_shared_store_there_may_be_many(tmp_path: Path) -> None:
    """On any port. Clients are asked to connect anew now and then, unless another time is set."""
    server, _ = read_server(path=write(tmp_path, "[server]\nworkers = 256"))
    other, _ = read_server(path=write(tmp_path, '[server]\nworkers = 2\nmax_connection_age = "1h"'))

    assert (server.workers, server.connection_age) == (256, 300.0)
    assert other.connection_age == 3600.0


@pytest.mark.usefixtures("shared")
def test_what_cannot_be_shared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Unix socket; a port, on a system that cannot; and nobody has so many processors."""
    (unix,) = complaint(lambda: workers(tmp_path, "", workers=2, listen="unix:/run/imagegen.sock"))
    (many,) = complaint(lambda: workers(tmp_path, "", workers=257))
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    (system,) = complaint(lambda: workers(tmp_path, "", workers=2))

    assert "cannot share the Unix socket" in unix
    assert "at most 256" in many
    assert "cannot share a port on this system" in system


def test_an_age_that_the_transport_cannot_count_is_named(tmp_path: Path) -> None:
    """It counts milliseconds in 32 bits."""
    (line,) = complaint(lambda: workers(tmp_path, '[server]\nmax_connection_age = "169h"'))

    assert line.startswith("server.max_connection_age: ")


def test_a_text_that_was_read_is_not_read_again(tmp_path: Path) -> None:
    """The file has changed, or was a pipe; faults are told by its name all the same."""
    file = write(tmp_path, "[server]\nmax_calls = 7")
    text = read_text(file)
    file.unlink()

    assert load_config(TYPES, path=file, text=text).server.max_calls == 7
    (line,) = complaint(lambda: load_config(TYPES, path=file, text="[server"))
    assert line.startswith(f"{file}: ")

"""The command as a program: streams, signals, installation."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.client.fake_server import Context, Event, FakeServer, Wish, picture, play, started, whole_stream

PROGRAM = [sys.executable, "-m", "imagegen.cli"]


@pytest.fixture
def environment(thread_server: FakeServer) -> dict[str, str]:
    """The environment of a program that finds `thread_server`."""
    return {**os.environ, "IMAGEGEN_ADDRESS": thread_server.address}


def test_only_bytes_on_standard_output(thread_server: FakeServer, environment: dict[str, str]) -> None:
    """A pipe gets the image and nothing else, whatever is told beside it."""
    data = picture(3_000_000)
    thread_server.stream = play(*whole_stream(data))

    done = subprocess.run(
        [*PROGRAM, "generate", "--model", "sandbox/scene", "-", "-o", "-"],
        input="ein Hafen, früh\n".encode(),
        env=environment,
        capture_output=True,
        check=True,
    )

    assert done.stdout == data
    assert b"image 1 written to standard output" in done.stderr


def test_interrupt(thread_server: FakeServer, environment: dict[str, str], tmp_path: Path) -> None:
    """Ctrl-C cancels the generation at the server and ends the program with 130 and one line."""
    asked = threading.Event()

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        yield started()
        asked.set()
        await thread_server.hang()

    thread_server.stream = script
    command = [*PROGRAM, "generate", "--model", "sandbox/scene", "a cat", "-o", str(tmp_path / "a.png")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert asked.wait(30)
        os.kill(process.pid, signal.SIGINT)
        assert thread_server.cancelled.wait(10)
        assert process.wait(10) == 130
        assert process.stderr is not None
        told = process.stderr.read().splitlines()

    assert told[-1] == "imagegen: cancelled"
    assert list(tmp_path.iterdir()) == []


def test_failure(thread_server: FakeServer, environment: dict[str, str], tmp_path: Path) -> None:
    """A failure is one line and an exit code, and no file."""
    thread_server.stream = play(started())

    done = subprocess.run(
        [*PROGRAM, "generate", "--model", "sandbox/scene", "a cat", "-o", tmp_path / "a.png"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == (
        "imagegen: INVALID_RESPONSE: the stream ended without a result. It may have been billed. [generation gen_1, "
        "request req_1]"
    )
    assert list(tmp_path.iterdir()) == []


def test_image_bytes_are_not_written_into_a_terminal(environment: dict[str, str]) -> None:
    """-o - on a terminal is refused before anything is asked for."""
    parent, child = pty.openpty()
    try:
        done = subprocess.run(
            [*PROGRAM, "generate", "--model", "sandbox/scene", "a cat", "-o", "-"],
            env=environment,
            stdout=child,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(child)
        os.close(parent)

    assert done.returncode == 2
    assert b"into the terminal" in done.stderr


def test_without_the_extra() -> None:
    """Without click there is one line that says what to install, and exit code 2; the library itself still works."""
    hide = "import sys; sys.modules['click'] = None; import imagegen.cli; imagegen.cli.main()"

    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install './clients/python[cli]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_library_does_not_import_the_extra() -> None:
    """Who does not use the command does not load it."""
    loaded = "import sys, imagegen; print(sorted({'click', 'rich', 'PIL', 'rich_pixels'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout == "[]\n"

"""Files that change while the server runs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from imagegen_server.rpc.watched import LOOK_SECONDS, Watched


class Desk:
    """A file with a number, a clock, and what was read."""

    def __init__(self, folder: Path) -> None:
        """Begin with 1."""
        self.file = folder / "number"
        self.file.write_text("1")
        self.now = 0.0
        self.reads = 0
        self.watched = Watched("server.number", [self.file], self.read, lambda: self.now)

    def read(self) -> int:
        """Read the number."""
        self.reads += 1
        return int(self.file.read_text())

    def later(self, seconds: float = LOOK_SECONDS) -> int:
        """Ask after a while."""
        self.now += seconds
        return self.watched.current()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Have a file that is watched."""
    return Desk(tmp_path)


def test_a_change_is_seen_within_a_second(desk: Desk) -> None:
    """Not before, so that a call costs no look at the disk."""
    desk.file.write_text("2")

    assert desk.later(LOOK_SECONDS / 2) == 1
    with structlog.testing.capture_logs() as lines:
        assert desk.later(LOOK_SECONDS / 2) == 2
    assert [(line["event"], line["key"], line["log_level"]) for line in lines] == [
        ("read again", "server.number", "info")
    ]


def test_what_does_not_change_is_not_read_again(desk: Desk) -> None:
    """However often it is asked for."""
    assert [desk.later() for _ in range(5)] == [1] * 5
    assert desk.reads == 1


def test_two_changes_in_one_moment_are_two(desk: Desk) -> None:
    """Also where size and time of the file stay the same."""
    before = desk.file.stat()
    desk.file.write_text("2")
    os.utime(desk.file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert desk.later() == 2


@pytest.mark.parametrize(
    "spoil", [lambda file: file.write_text("x"), lambda file: file.unlink()], ids=["wrong", "gone"]
)
def test_a_broken_version_changes_nothing_and_is_told_once(desk: Desk, spoil: Callable[[Path], object]) -> None:
    """The one before it stays until there is a good one."""
    spoil(desk.file)

    with structlog.testing.capture_logs() as lines:
        assert [desk.later() for _ in range(3)] == [1] * 3
    assert [(line["log_level"], line["key"]) for line in lines] == [("error", "server.number")]
    desk.file.write_text("3")
    assert desk.later() == 3


def test_a_broken_version_is_refused_at_the_start(tmp_path: Path) -> None:
    """There is nothing else to go by."""
    desk = Desk(tmp_path)
    desk.file.write_text("x")

    with pytest.raises(ValueError, match="invalid literal"):
        Watched("server.number", [desk.file], desk.read)

"""A wrong clock for processes of their own: libfaketime, as Debian has it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .tools import find, require

_SHARED_MEMORY = Path("/dev/shm")


@contextmanager
def wrong_clock(seconds: float, file: Path | None = None) -> Iterator[dict[str, str]]:
    """Make the environment of processes whose wall clock is ahead by so many seconds, or behind; 0 = right.

    Their monotonic clock stays true, as that of any machine does. With a `file`, which is written, `set_clock` can set
    the clock while they run. Skips the test where faketime is missing, and fails it in CI.
    """
    if not seconds:
        yield {}
        return
    require("faketime")
    # Only the library: the program itself would stand between a test and the process that it kills.
    asked = [find("faketime"), "-m", "-f", "+0", "printenv", "LD_PRELOAD"]
    library = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    try:
        environment = {"LD_PRELOAD": library, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        if file is None:
            yield {**environment, "FAKETIME": f"{seconds:+g}s"}
        else:
            set_clock(file, seconds)
            yield {**environment, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
    finally:
        _tidy()


def set_clock(file: Path, seconds: float) -> None:
    """Put a clock ahead by so many seconds, at once."""
    written = file.with_suffix(".new")
    written.write_text(f"{seconds:+g}s\n")
    written.replace(file)


def _tidy() -> None:
    """Remove what the library leaves behind in processes that were killed."""
    for file in _SHARED_MEMORY.glob("*faketime_s[he]m_*"):
        if not Path("/proc", file.name.rpartition("_")[2]).exists():
            with suppress(OSError):
                file.unlink()

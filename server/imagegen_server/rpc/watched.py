"""Files that are read again when they change, while the server runs."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

_T = TypeVar("_T")

LOOK_SECONDS = 1.0
"""How long a change may go unnoticed."""

_logger = structlog.get_logger("imagegen.server")


class Watched(Generic[_T]):
    """What some small files say now, or said when they were last right.

    They are looked at when somebody wants to know, and then at most once in LOOK_SECONDS: nothing has to run for it
    that could end unseen and leave a revoked token good. Contents are compared, not times: two changes in one tick of a
    file system's clock look the same by their times.
    """

    def __init__(
        self, key: str, paths: Sequence[Path], read: Callable[[], _T], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the files. `key` is the setting that names them; `read` reads them and raises OSError or ValueError.

        :raises OSError: a file cannot be read
        :raises ValueError: they say nothing that can be used
        """
        self._key = key
        self._paths = paths
        self._read = read
        self._clock = clock
        self._looking = threading.Lock()
        """The transport asks from threads of its own."""
        self._seen = self._contents()
        self._value = read()
        self._next_look = clock() + LOOK_SECONDS

    def current(self) -> _T:
        """Tell what the files say. A version that is wrong is logged once, and the one before it stays."""
        if self._clock() >= self._next_look and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._value

    def _look(self) -> None:
        self._next_look = self._clock() + LOOK_SECONDS
        contents = self._contents()
        if contents == self._seen:
            return
        self._seen = contents
        try:
            self._value = self._read()
        except (OSError, ValueError) as problem:
            _logger.error("kept what was read before", key=self._key, problem=str(problem))  # noqa: TRY400 - no fault of ours
        else:
            _logger.info("read again", key=self._key)

    def _contents(self) -> list[bytes | None]:
        return [_content(path) for path in self._paths]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None

"""Where images go: files, or standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from imagegen import Image

STDOUT: Final = "-"


class Output:
    """The place that -o names, for one image or several."""

    def __init__(self, target: str | None, count: int = 1) -> None:
        """Check the place before anything is spent; `count` are the images expected, as far as that is known.

        Raises:
            click.UsageError: the folder is not there or cannot be written to, or several images would share one stream.
        """
        self._target = target
        self._several = count > 1
        self.stdout = target == STDOUT
        if self.stdout and self._several:
            raise click.UsageError("-o - takes one image; give a file name for several")
        if self.stdout and (sys.stdout is None or sys.stdout.closed):
            raise click.UsageError("-o - needs standard output, which is closed")
        if self.stdout and sys.stdout.isatty():
            raise click.UsageError("-o - would write the image into the terminal: give a file name, or use a pipe")
        if not self.stdout:
            path = Path(target or "image")
            if path.is_dir():
                raise click.UsageError(f"{path} is a folder")
            _check_folder(path.parent)

    def save(self, image: Image, index: int, generation_id: str) -> str:
        """Write an image and return where it went: a path, or "-".

        One of several images has its number, counted from 1, in its name. Without -o the name is the generation's id.

        Raises:
            OSError: it cannot be written.
        """
        if self.stdout and index > 0:
            raise OSError("standard output takes one image")
        if self.stdout:
            sys.stdout.buffer.write(image.bytes)
            sys.stdout.buffer.flush()
            return STDOUT
        path = Path(self._target or generation_id or "image")
        if self._several or index > 0:
            path = path.with_name(f"{path.stem}-{index + 1}{path.suffix}")
        return str(image.save(path))


def prepare_folder(folder: Path) -> None:
    """Make a folder, unless it is there, that files can be written to.

    Raises:
        click.UsageError: it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error
    _check_folder(folder)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise click.UsageError(f"there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise click.UsageError(f"the folder {folder} cannot be written to")

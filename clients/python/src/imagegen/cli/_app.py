"""The command and its parts."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click

from imagegen import __version__
from imagegen.cli._catalogue import models
from imagegen.cli._explain import explain
from imagegen.cli._failure import EXIT_CODES, INTERRUPTED
from imagegen.cli._making import edit, generate
from imagegen.cli._running import cancel, resume
from imagegen.cli._storing import read, upload

_SHOW_CURSOR: Final = b"\x1b[?25h"

# How soon an interrupt is raised anew that was raised where nothing can be.
_AGAIN_SECONDS: Final = 0.05


class _App(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        """Run; an interrupt is a cancelled call and has its own exit code."""
        with _second_interrupt_exits():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt as interrupt:
                for note in getattr(interrupt, "__notes__", ()):
                    click.echo(f"imagegen: {note}", err=True)
                click.echo("imagegen: cancelled", err=True)
                sys.exit(INTERRUPTED)


@contextmanager
def _second_interrupt_exits() -> Iterator[None]:
    """Let the first Ctrl-C stop what runs, which asks the server, and a second one not wait for that."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, _first_interrupt)
    former, sys.unraisablehook = sys.unraisablehook, _unraisable
    try:
        yield
    finally:
        sys.unraisablehook = former
        if signal.getsignal(signal.SIGINT) is _first_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _first_interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _second_interrupt)
    raise KeyboardInterrupt


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Not lose the first Ctrl-C in a callback of the garbage collector, which swallows what is raised in it."""
    if unraisable.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGINT, _first_interrupt)
        threading.Timer(_AGAIN_SECONDS, _interrupt_again).start()
    else:
        sys.__unraisablehook__(unraisable)


def _interrupt_again() -> None:
    if signal.getsignal(signal.SIGINT) is _first_interrupt:  # else the user was faster
        _thread.interrupt_main()


def _second_interrupt(_number: int, _frame: FrameType | None) -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)  # the live display has hidden it
    os._exit(INTERRUPTED)


@click.group(cls=_App, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="imagegen")
def app() -> None:
    """Make and change pictures with the models of an imagegen server."""


for command in (generate, edit, resume, cancel, models, read, upload, explain):
    app.add_command(command)

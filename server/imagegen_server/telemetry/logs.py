"""structlog: lines for people at a terminal, JSON everywhere else."""

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import TextIO, cast

import structlog


class _Stderr:
    """The process's stderr. A line that cannot be written (closed, full disk) is lost; a call never is."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def _escaped(
    _logger: object, _method: str, event: MutableMapping[str, object]
) -> structlog.typing.ProcessorReturnValue:
    """Keep callers from moving the operator's cursor: what they call a model stands in lines for a terminal too."""
    return {_printable(key): _printable_value(value) for key, value in event.items()}


def _printable_value(value: object) -> object:
    if isinstance(value, str):
        return _printable(value)
    shown = repr(value)  # as the renderer writes it
    return value if shown.isprintable() else _printable(shown)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _numbered(worker: int) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: MutableMapping[str, object]) -> structlog.typing.ProcessorReturnValue:
        return {"worker": worker, **event}

    return add


def configure_logs(*, level: str = "info", json: bool | None = None, worker: int | None = None) -> None:
    """Set structlog up for the process, writing to stderr. `json` None = unless stderr is a terminal.

    `worker`: the number that every line bears, where several processes write to one stderr.
    """
    if json is None:
        json = not sys.stderr.isatty()
    renderers: list[structlog.typing.Processor]
    renderers = [structlog.processors.JSONRenderer()] if json else [_escaped, structlog.dev.ConsoleRenderer()]
    structlog.configure(
        processors=[
            *([] if worker is None else [_numbered(worker)]),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Each line in one piece: several processes may write to one stderr.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=True,
    )

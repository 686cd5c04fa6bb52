"""Tells how a generation goes: as lines, as a live display, or as JSON."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from imagegen import (
    Complete,
    Failed,
    Image,
    ImageEvent,
    ImageGenError,
    ImageResult,
    ImageWarning,
    JsonValue,
    Preview,
    Started,
)
from imagegen import Progress as ProgressEvent
from imagegen.cli._draw import draw
from imagegen.cli._output import STDOUT

_EVENT_NAMES: dict[type[ImageEvent], str] = {
    Started: "started",
    ProgressEvent: "progress",
    Preview: "preview",
    Complete: "complete",
    Failed: "failure",
}


class Report(Protocol):
    """Who is told."""

    def event(self, event: ImageEvent, file: str | None) -> None:
        """Something happened; `file` is where its image was saved, if it was."""

    def result(self, result: ImageResult) -> None:
        """It ended, with at least one image."""

    def close(self) -> None:
        """Nothing more will come."""


class LineReport:
    """Plain lines on standard error: for logs and pipes. Heartbeats that say nothing new are left out."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self._console = console
        self._last = ""

    def event(self, event: ImageEvent, file: str | None) -> None:
        """Write a line, if there is something new to say."""
        line = _line(event, file)
        if line != self._last:
            _say(self._console, line)
        self._last = line
        if isinstance(event, Started):
            _say_warnings(self._console, event.warnings)

    def result(self, result: ImageResult) -> None:
        """Write what was not done as asked, and what it cost."""
        _say_end(self._console, result)

    def close(self) -> None:
        """Nothing to do."""


class LiveReport:
    """A progress bar in the terminal, and pictures above it."""

    def __init__(self, console: Console, *, show: bool) -> None:
        """Draw on `console`; with `show` also the pictures."""
        self._console = console
        self._show = show
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID = self._bar.add_task("waiting for the server", total=None)
        self._bar.start()

    def event(self, event: ImageEvent, file: str | None) -> None:
        """Move the bar; show a picture; write what stays to be read."""
        match event:
            case Preview():
                self._draw(event.image)
            case Complete():
                self._draw(event.image)
                _say(self._console, _line(event, file))
            case Failed():
                _say(self._console, _line(event, file))
            case Started():
                _say(self._console, _line(event, file))
                _say_warnings(self._console, event.warnings)
            case ProgressEvent():
                self._bar.update(
                    self._task,
                    description=_progress(event),
                    total=None if event.fraction is None else 1.0,
                    completed=event.fraction or 0.0,
                )

    def result(self, result: ImageResult) -> None:
        """Write what was not done as asked, and what it cost."""
        self.close()
        _say_end(self._console, result)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()

    def _draw(self, image: Image) -> None:
        if self._show:
            pixels = draw(image.bytes, columns=self._console.width, lines=self._console.height)
            if pixels is not None:
                self._console.print(pixels)


class JsonReport:
    """One JSON object a line on standard output: facts and file names, never bytes."""

    def event(self, event: ImageEvent, file: str | None) -> None:
        """Write an event."""
        told = facts(event)
        if isinstance(event, Complete):
            told = {"index": event.index, **told}
        elif isinstance(event, Failed):
            told = facts(event.failure)
        if file is not None:
            told["file"] = file
        _write_json({"event": _EVENT_NAMES[type(event)], **told})

    def result(self, result: ImageResult) -> None:
        """Write the result."""
        _write_json({"event": "result", **facts(result)})

    def close(self) -> None:
        """Nothing to do."""


def json_error(error: ImageGenError) -> None:
    """Write an error as the last JSON line."""
    told = {name: _plain(getattr(error, name)) for name in (field.name for field in fields(error)) if name != "code"}
    _write_json({"event": "error", "code": error.code.name, **_without_empty(told)})


def facts(value: object) -> dict[str, JsonValue]:
    """A value of the client as JSON: what is absent is left out, and so are the bytes of images."""
    told = _plain(value)
    assert isinstance(told, dict)
    return told


def _write_json(line: dict[str, JsonValue]) -> None:
    click.echo(json.dumps(line, ensure_ascii=False))


def _plain(value: object) -> JsonValue:
    match value:
        case None | str() | bool() | int() | float():
            return value
        case datetime():
            return value.isoformat()
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            assert is_dataclass(value)
            named = {field.name: getattr(value, field.name) for field in fields(value) if field.name != "data"}
            return _without_empty({name: _plain(item) for name, item in named.items()})


def _without_empty(told: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: item for name, item in told.items() if item not in (None, "", [], {})}


def _line(event: ImageEvent, file: str | None) -> str:
    match event:
        case Started():
            return f"started {event.generation_id} with {event.model}"
        case ProgressEvent():
            return _progress(event)
        case Preview():
            saved = f" saved as {file}" if file is not None else ""
            return f"preview {event.number} of image {event.index + 1}{saved}"
        case Complete():
            place = "written to standard output" if file == STDOUT else f"saved as {file}"
            return f"image {event.index + 1} {place} ({_measures(event.image)})"
        case Failed():
            return f"image {event.index + 1} failed: {event.failure.reason}: {event.failure.message}"


def _progress(event: ProgressEvent) -> str:
    parts: list[str] = [event.phase]
    if event.index is not None:
        parts.append(f"image {event.index + 1}")
    if event.queue_position is not None:
        parts.append(f"{event.queue_position} ahead")
    if event.step is not None:
        parts.append(f"step {event.step}" + (f"/{event.steps}" if event.steps is not None else ""))
    if event.fraction is not None:
        parts.append(f"{event.fraction:.0%}")
    if event.remaining is not None:
        parts.append(f"{event.remaining:.0f} s to go")
    if event.message:
        parts.append(event.message)
    return ", ".join(parts)


def _measures(image: Image) -> str:
    size = f", {image.width}x{image.height}" if image.width is not None and image.height is not None else ""
    return f"{image.media_type or 'unknown type'}{size}, {image.size_bytes} bytes"


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _say_warnings(console: Console, warnings: tuple[ImageWarning, ...]) -> None:
    for warning in warnings:
        _say(console, f"warning: {warning.field}: {warning.message or warning.reason}")


def _say_end(console: Console, result: ImageResult) -> None:
    _say_warnings(console, result.warnings)
    if result.usage is not None and result.usage.cost is not None:
        cost = result.usage.cost
        _say(console, f"cost: {cost.amount:g} {cost.currency}{' (estimated)' if cost.estimated else ''}")

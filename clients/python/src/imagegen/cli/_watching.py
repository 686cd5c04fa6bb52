"""Watching a generation: telling how it goes and saving what comes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from imagegen import Complete, ImageEvent, ImageStream, Preview
from imagegen.cli._failure import FAILED, PARTIAL
from imagegen.cli._output import Output
from imagegen.cli._report import JsonReport, LineReport, LiveReport, Report

# What the display of a terminal needs to be more than noise.
_COLOURS: Final = frozenset({"256", "truecolor"})


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told, and where images go."""

    output: Output
    as_json: bool
    show: bool
    """Draw pictures in the terminal."""
    previews: Path | None = None
    """The folder that previews are saved in."""

    def follow(self, stream: ImageStream) -> None:
        """Tell and save until the generation ends; exit with its code if images are missing."""
        with stream:
            report = self._report()
            try:
                for event in stream:
                    report.event(event, self._save(event, stream.generation_id))
                result = stream.result()
                report.result(result)
            finally:
                report.close()
        if result.failures:
            sys.exit(PARTIAL)

    def _save(self, event: ImageEvent, generation_id: str) -> str | None:
        match event:
            case Complete(image=image):
                try:
                    return self.output.save(image, image.index, generation_id)
                except OSError as error:
                    click.echo(
                        f"imagegen: image {image.index + 1} could not be written: {error}. The server keeps it for a "
                        f"while: imagegen read {image.image_id} -o FILE",
                        err=True,
                    )
                    sys.exit(FAILED)
            case Preview(image=image) if self.previews is not None and image.has_bytes:
                return str(image.save(self.previews / f"image-{event.index + 1}-preview-{event.number}"))
            case _:
                return None

    def _report(self) -> Report:
        console = Console(stderr=True)
        if self.as_json:
            return JsonReport()
        return LiveReport(console, show=self.show) if console.is_terminal else LineReport(console)


def shows_pictures() -> bool:
    """Whether standard error is a terminal that can draw them."""
    return Console(stderr=True).color_system in _COLOURS


def check_stdout(output: Output, *, as_json: bool) -> None:
    """Only one thing can go to standard output."""
    if output.stdout and as_json:
        raise click.UsageError("--json and -o - both want standard output")

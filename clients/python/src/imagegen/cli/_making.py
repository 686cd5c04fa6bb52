"""`imagegen generate` and `imagegen edit`: making pictures and watching it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from imagegen import CallSettings, Client, Complete, ImageEvent, ImageStream, Preview
from imagegen.cli._connect import Server, connection_options
from imagegen.cli._failure import FAILED, PARTIAL
from imagegen.cli._inputs import read_image, read_params, read_prompt, refuse_shared_stdin
from imagegen.cli._output import Output, prepare_folder
from imagegen.cli._report import JsonReport, LineReport, LiveReport, Report

_Command = Callable[..., None]

# What the display of a terminal needs to be more than noise.
_COLOURS: Final = frozenset({"256", "truecolor"})


@dataclass(frozen=True, slots=True)
class _Making:
    """Everything about a call but its prompt and images, as the command line said it."""

    server: Server
    model: str
    settings: CallSettings
    output: Output
    as_json: bool
    show: bool
    previews: Path | None
    """The folder that previews are saved in."""

    def run(self, start: Callable[[Client, str, CallSettings], ImageStream]) -> None:
        """Make the call that `start` begins, and exit with its code."""
        with self.server.connected(as_json=self.as_json) as client:
            try:
                stream = start(client, self.model, self.settings)
            except (TypeError, ValueError) as error:
                raise click.UsageError(str(error)) from error
            report = self._report()
            try:
                with stream:
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


_OPTIONS: Final = (
    click.option("--model", required=True, metavar="PROVIDER/MODEL", help="The model, or an alias of the server."),
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where the image goes; '-' = standard output. A name without suffix gets the right one, several images "
        "get a number each. Default: the generation's id, here.",
    ),
    click.option("--count", type=click.IntRange(min=1), metavar="N", help="Images wanted."),
    click.option("--size", metavar="WxH", help="In pixels: 1024x768."),
    click.option("--aspect-ratio", metavar="W:H", help="Width to height: 16:9."),
    click.option("--resolution", metavar="TEXT", help="1K, 2K, 4K."),
    click.option("--quality", metavar="TEXT", help="As the model names it."),
    click.option("--background", metavar="TEXT", help="As the model names it."),
    click.option("--format", "format_", metavar="TEXT", help="png, jpeg, webp, ..."),
    click.option("--compression", type=int, metavar="N", help="0 to 100, as the provider counts."),
    click.option("--seed", type=int, metavar="N", help="For pictures that can be made again, if the model does that."),
    click.option("--negative-prompt", metavar="TEXT", help="What not to draw."),
    click.option(
        "--previews",
        type=click.IntRange(min=0),
        metavar="N",
        help="Previews wanted per image; they may cost money. Default: 2 if they can be shown or are saved, else none.",
    ),
    click.option(
        "--param",
        "pairs",
        multiple=True,
        metavar="PROVIDER.KEY=VALUE",
        help="A parameter of the provider's own; the value is JSON or else text. May be repeated.",
    ),
    click.option("--params-json", metavar="FILE", help='{"PROVIDER": {"KEY": VALUE}}; \'-\' = standard input.'),
    click.option("--strict", is_flag=True, help="Refuse what would only be a warning."),
    click.option("--json", "as_json", is_flag=True, help="One JSON line for each event on standard output."),
    click.option(
        "--save-previews",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Keep the previews in this folder.",
    ),
    click.option("--no-show", is_flag=True, help="Do not draw pictures in the terminal."),
)


def _making_options(function: _Command) -> _Command:
    """Give a command these options; it receives them as `making`."""

    @functools.wraps(function)
    def command(
        *,
        server: Server,
        model: str,
        output: str | None,
        count: int | None,
        format_: str | None,
        previews: int | None,
        pairs: tuple[str, ...],
        params_json: str | None,
        strict: bool,
        as_json: bool,
        save_previews: Path | None,
        no_show: bool,
        size: str | None,
        aspect_ratio: str | None,
        resolution: str | None,
        quality: str | None,
        background: str | None,
        compression: int | None,
        seed: int | None,
        negative_prompt: str | None,
        **rest: Any,
    ) -> None:
        sources = [params_json, *(value for value in rest.values() if isinstance(value, str))]
        refuse_shared_stdin(*sources)
        place = Output(output, count or 1)
        if place.stdout and as_json:
            raise click.UsageError("--json and -o - both want standard output")
        if save_previews is not None:
            prepare_folder(save_previews)
        show = not no_show and not as_json and Console(stderr=True).color_system in _COLOURS
        settings: CallSettings = {
            "count": count,
            "size": size,
            "aspect_ratio": aspect_ratio,
            "resolution": resolution,
            "quality": quality,
            "background": background,
            "format": format_,
            "compression": compression,
            "seed": seed,
            "negative_prompt": negative_prompt,
            "preview_count": previews if previews is not None or show or save_previews is not None else 0,
            "params": read_params(pairs, params_json),
            "strict": strict,
        }
        function(making=_Making(server, model, settings, place, as_json, show, save_previews), **rest)

    decorated = functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)
    return connection_options(decorated)


@click.command()
@click.argument("prompt")
@_making_options
def generate(making: _Making, prompt: str) -> None:
    """Draw what PROMPT says; '-' reads it from standard input."""
    words = read_prompt(prompt)
    making.run(lambda client, model, settings: client.stream(model, words, **settings))


@click.command()
@click.argument("image")
@click.argument("prompt", default="")
@click.option(
    "--mask",
    metavar="FILE",
    help="What may change: where the mask is transparent or, if it has no transparency, white.",
)
@_making_options
def edit(making: _Making, image: str, prompt: str, mask: str | None) -> None:
    """Change the picture in the file IMAGE as PROMPT says; '-' reads either from standard input."""
    words = read_prompt(prompt)
    picture = read_image(image)
    may_change = read_image(mask) if mask is not None else None
    making.run(
        lambda client, model, settings: client.stream_edit(model, words, image=picture, mask=may_change, **settings)
    )

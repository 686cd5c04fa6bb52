"""`imagegen generate` and `imagegen edit`: making pictures and watching it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from imagegen import CallSettings, Client, ImageStream, Started
from imagegen.cli._connect import Server, connection_options
from imagegen.cli._inputs import read_image, read_prompt
from imagegen.cli._output import Output, prepare_folder
from imagegen.cli._report import JsonReport
from imagegen.cli._watching import Watch, check_stdout, shows_pictures
from imagegen.cli._wishes import Wishes, wish_options

_Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class _Making:
    """Everything about a call but its prompt and images, as the command line said it."""

    server: Server
    model: str
    settings: CallSettings
    watch: Watch
    detach: bool

    def run(self, start: Callable[[Client, str, CallSettings], ImageStream]) -> None:
        """Make the call that `start` begins, and exit with its code."""
        with self.server.connected(as_json=self.watch.as_json) as client:
            try:
                stream = start(client, self.model, self.settings)
            except (TypeError, ValueError) as error:
                raise click.UsageError(str(error)) from error
            if self.detach:
                self._leave(stream)
            else:
                self.watch.follow(stream)

    def _leave(self, stream: ImageStream) -> None:
        """Tell which generation it is, once there is one, and leave it running."""
        with stream:
            for event in stream:
                if isinstance(event, Started):
                    if self.watch.as_json:
                        JsonReport().event(event, None)
                    else:
                        click.echo(event.generation_id)
                    return


_OPTIONS: Final = (
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where the image goes; '-' = standard output. A name without suffix gets the right one, several images "
        "get a number each. Default: the generation's id, here.",
    ),
    click.option(
        "--previews",
        type=click.IntRange(min=0),
        metavar="N",
        help="Previews wanted per image; they may cost money. Default: 2 if they can be shown or are saved, else none.",
    ),
    click.option("--json", "as_json", is_flag=True, help="One JSON line for each event on standard output."),
    click.option(
        "--save-previews",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Keep the previews in this folder.",
    ),
    click.option("--no-show", is_flag=True, help="Do not draw pictures in the terminal."),
    click.option("--resumable", is_flag=True, help="Read on by itself where the connection breaks."),
    click.option(
        "--request-id",
        metavar="ID",
        help="Your own id for this wish. The same id and wish again joins it or gives its result; nothing is bought "
        "twice. It goes on when this command is killed.",
    ),
    click.option(
        "--detach",
        is_flag=True,
        help="Write the generation's id to standard output and leave it running: 'imagegen resume ID' fetches it.",
    ),
)


def _making_options(function: _Command) -> _Command:
    """Give a command these options; it receives them as `making`."""

    @functools.wraps(function)
    def command(
        *,
        server: Server,
        wishes: Wishes,
        output: str | None,
        previews: int | None,
        as_json: bool,
        save_previews: Path | None,
        no_show: bool,
        resumable: bool,
        request_id: str | None,
        detach: bool,
        **rest: Any,
    ) -> None:
        place = Output(output, wishes.count)
        check_stdout(place, as_json=as_json)
        if detach and (output is not None or save_previews is not None):
            raise click.UsageError("with --detach nothing is saved: 'imagegen resume ID -o FILE' does that")
        if save_previews is not None:
            prepare_folder(save_previews)
        show = not no_show and not as_json and not detach and shows_pictures()
        settings: CallSettings = {
            **wishes.settings,
            "preview_count": previews if previews is not None or show or save_previews is not None else 0,
            "resumable": resumable,
            "request_id": request_id,
            "on_disconnect": "detach" if detach else None,
        }
        watch = Watch(place, as_json, show, save_previews)
        function(making=_Making(server, wishes.model, settings, watch, detach), **rest)

    decorated = functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)
    return connection_options(wish_options(decorated))


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
    """Change the picture in the file IMAGE as PROMPT says; '-' reads either from standard input.

    IMAGE may also be id:IMAGE_ID, for an upload or an earlier result, or an http or https URL that the server fetches.
    """
    words = read_prompt(prompt)
    picture = read_image(image)
    may_change = read_image(mask) if mask is not None else None
    making.run(
        lambda client, model, settings: client.stream_edit(model, words, image=picture, mask=may_change, **settings)
    )

"""The command and its parts."""

from __future__ import annotations

import sys

import click

from imagegen import __version__
from imagegen.cli._catalogue import models
from imagegen.cli._connect import Server, connection_options
from imagegen.cli._failure import EXIT_CODES, FAILED, INTERRUPTED
from imagegen.cli._making import edit, generate
from imagegen.cli._output import Output


class _App(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        """Run; an interrupt is a cancelled call and has its own exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("imagegen: cancelled", err=True)
            sys.exit(INTERRUPTED)


@click.group(cls=_App, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="imagegen")
def app() -> None:
    """Make and change pictures with the models of an imagegen server."""


@click.command()
@click.argument("image_id")
@click.option("-o", "--output", required=True, metavar="FILE", help="Where the image goes; '-' = standard output.")
@connection_options
def read(server: Server, image_id: str, output: str) -> None:
    """Fetch the image IMAGE_ID of an earlier result from the server."""
    place = Output(output)
    with server.connected() as client:
        try:
            image = client.read_image(image_id)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    try:
        written = place.save(image, 0, "")
    except OSError as error:
        click.echo(f"imagegen: the image could not be written: {error}", err=True)
        sys.exit(FAILED)
    if not place.stdout:
        click.echo(written)


for command in (generate, edit, models, read):
    app.add_command(command)

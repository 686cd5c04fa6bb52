"""`imagegen read` and `imagegen upload`: images that the server keeps."""

from __future__ import annotations

import json
import sys

import click

from imagegen.cli._connect import Server, connection_options
from imagegen.cli._failure import FAILED
from imagegen.cli._inputs import read_image
from imagegen.cli._output import Output
from imagegen.cli._report import facts


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


@click.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="The facts of the image as one JSON line.")
@connection_options
def upload(server: Server, file: str, as_json: bool) -> None:
    """Give the image in FILE to the server and write its id, for 'imagegen edit id:IMAGE_ID'; '-' = standard input."""
    image = read_image(file)
    with server.connected(as_json=as_json) as client:
        try:
            uploaded = client.upload(image)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    click.echo(json.dumps(facts(uploaded), ensure_ascii=False) if as_json else uploaded.image_id)

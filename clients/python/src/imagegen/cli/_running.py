"""`imagegen resume` and `imagegen cancel`: generations that run already."""

from __future__ import annotations

import click

from imagegen.cli._connect import Server, connection_options
from imagegen.cli._output import Output
from imagegen.cli._watching import Watch, check_stdout, shows_pictures

_generation = click.argument("generation_id", required=False)
_request = click.option("--request-id", metavar="ID", help="The generation of this id of yours.")


@click.command()
@_generation
@_request
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where the image goes; '-' = standard output. Further images get a number each. Default: the generation's id.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line for each event on standard output.")
@click.option("--no-show", is_flag=True, help="Do not draw pictures in the terminal.")
@connection_options
def resume(
    *,
    server: Server,
    generation_id: str | None,
    request_id: str | None,
    output: str | None,
    as_json: bool,
    no_show: bool,
) -> None:
    """Watch the generation GENERATION_ID from its start to its end and save its images. Ctrl-C stops it."""
    _check_name(generation_id, request_id)
    place = Output(output)
    check_stdout(place, as_json=as_json)
    watch = Watch(place, as_json, show=not no_show and not as_json and shows_pictures())
    with server.connected(as_json=as_json) as client:
        watch.follow(client.resume(generation_id, request_id=request_id))


@click.command()
@_generation
@_request
@connection_options
def cancel(server: Server, generation_id: str | None, request_id: str | None) -> None:
    """Stop the generation GENERATION_ID. Its finished images are kept; what was begun may be billed."""
    _check_name(generation_id, request_id)
    with server.connected() as client:
        stopped = client.cancel(generation_id, request_id=request_id)
    click.echo("stopped" if stopped else "it had ended already")


def _check_name(generation_id: str | None, request_id: str | None) -> None:
    if bool(generation_id) == bool(request_id):
        raise click.UsageError("say which generation: GENERATION_ID or --request-id ID")

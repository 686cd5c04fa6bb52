"""`imagegen models`: which models there are and what they can do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from imagegen import Capabilities, ModelInfo
from imagegen.cli._connect import Server, connection_options
from imagegen.cli._report import facts

_PIPE_COLUMNS: Final = 500


@click.command()
@click.argument("name", required=False)
@click.option("--provider", metavar="NAME", help="Only the models of this provider.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line for each model.")
@connection_options
def models(server: Server, name: str | None, provider: str | None, as_json: bool) -> None:
    """List the models, or tell what the model NAME can do."""
    if name is not None and provider is not None:
        raise click.UsageError("NAME and --provider exclude each other")
    with server.connected(as_json=as_json) as client:
        if name is not None:
            _show([client.model(name)], _one, as_json=as_json)
            return
        listing = client.models(provider)
        _show(list(listing), _table, as_json=as_json)
        for missing in listing.unreachable:
            click.echo(f"imagegen: the models of {missing.provider} could not be listed: {missing.reason}", err=True)


def _show(found: list[ModelInfo], render: Callable[[list[ModelInfo]], Table], *, as_json: bool) -> None:
    if as_json:
        for model in found:
            click.echo(json.dumps(facts(model), ensure_ascii=False))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_PIPE_COLUMNS)  # who reads from a pipe wants one line for each model
        console.print(render(found))


def _table(found: list[ModelInfo]) -> Table:
    table = Table(box=None, pad_edge=False)
    rows = [_row(model) for model in found]
    for name in rows[0] if rows else ():
        if any(row[name] for row in rows):
            # In a narrow terminal names go on in the next line: half a name is none.
            table.add_column(name, no_wrap=name not in ("model", "aliases"), overflow="fold")
    for row in rows:
        table.add_row(*(row[str(column.header)] for column in table.columns))
    return table


def _row(model: ModelInfo) -> dict[str, str]:
    able = model.capabilities
    return {
        "model": model.name,
        "draws": _yes(able.generate),
        "edits": _yes(able.edit),
        "mask": _yes(able.mask),
        "previews": _unless_unknown(able.previews),
        "images": _number(able.max_images),
        "aliases": ", ".join(model.aliases),
        "ends": _day(model.retire_time),
    }


def _one(found: list[ModelInfo]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    [model] = found
    for label, value in (
        ("model", model.name),
        ("name", model.display_name),
        ("aliases", ", ".join(model.aliases)),
        ("known to the server", _yes(model.known)),
        ("ends", _day(model.retire_time)),
        *_abilities(model.capabilities),
    ):
        if value:
            table.add_row(label, value)
    return table


def _abilities(able: Capabilities) -> tuple[tuple[str, str], ...]:
    return (
        ("draws", _yes(able.generate)),
        ("edits", _yes(able.edit)),
        ("takes a mask", _yes(able.mask)),
        ("streams", _yes(able.streaming)),
        ("previews", _unless_unknown(able.previews)),
        ("images per request", _number(able.max_images)),
        ("images per call", _number(able.max_count)),
        ("input images", _number(able.max_input_images)),
        ("options", ", ".join(able.options)),
        ("sizes", ", ".join(able.sizes)),
        ("aspect ratios", ", ".join(able.aspect_ratios)),
        ("resolutions", ", ".join(able.resolutions)),
        ("qualities", ", ".join(able.qualities)),
        ("backgrounds", ", ".join(able.backgrounds)),
        ("formats", ", ".join(able.formats)),
    )


def _yes(known: bool | None) -> str:
    return {None: "?", True: "yes", False: "no"}[known]


def _unless_unknown(word: str) -> str:
    return "?" if word == "unknown" else word


def _number(known: int | None) -> str:
    return "?" if known is None else str(known)


def _day(known: datetime | None) -> str:
    return "" if known is None else known.date().isoformat()

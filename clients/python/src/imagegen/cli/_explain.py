"""`imagegen explain`: what a call would do."""

from __future__ import annotations

import json
from typing import Final

import click

from imagegen import Image, PlannedCall
from imagegen.cli._connect import Server, connection_options
from imagegen.cli._inputs import read_image, read_prompt
from imagegen.cli._report import facts
from imagegen.cli._wishes import Wishes, wish_options

_TWO_DIGITS: Final = 10


@click.command()
@click.argument("prompt")
@click.option("--image", metavar="FILE", help="Explain an edit of this picture instead.")
@click.option("--mask", metavar="FILE", help="The mask of that edit.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line for each call.")
@wish_options
@connection_options
def explain(*, server: Server, wishes: Wishes, prompt: str, image: str | None, mask: str | None, as_json: bool) -> None:
    """Tell what 'generate' or 'edit' with these options would send, to whom and in which order, without doing it."""
    if mask is not None and image is None:
        raise click.UsageError("--mask needs --image")
    words = read_prompt(prompt)
    picture = _image(image)
    may_change = _image(mask)
    with server.connected(as_json=as_json) as client:
        model = client.image(wishes.model)
        try:
            if picture is None:
                calls = model.explain(words, **wishes.settings)
            else:
                calls = model.explain_edit(words, image=picture, mask=may_change, **wishes.settings)
        except (TypeError, ValueError) as error:
            raise click.UsageError(str(error)) from error
    for number, call in enumerate(calls, start=1):
        click.echo(json.dumps(facts(call), ensure_ascii=False) if as_json else _text(number, call))


def _image(argument: str | None) -> Image | None:
    return None if argument is None else read_image(argument)


def _seconds(duration: float) -> str:
    """Two digits, and whole seconds: more is not meant by "about"."""
    return f"{duration:.0f}" if duration >= _TWO_DIGITS else f"{duration:.2g}"


def _text(number: int, call: PlannedCall) -> str:
    requests = f", {call.requests} requests" if call.requests > 1 else ""
    where = " ".join(part for part in (call.method, call.url) if part) or "in the server itself"
    lines = [f"{number}. {call.model}: {where}{requests}", call.body]
    lines += [f"warning: {warning.field}: {warning.message or warning.reason}" for warning in call.warnings]
    if call.expected_duration is not None:
        lines.append(f"takes about {_seconds(call.expected_duration)} s")
    if call.expected_cost is not None:
        cost = call.expected_cost
        lines.append(f"costs {cost.amount:g} {cost.currency}{' (estimated)' if cost.estimated else ''}")
    return "\n".join(line for line in lines if line)

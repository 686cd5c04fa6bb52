"""The options that say what is wanted: the model, the portable wishes, the provider's own parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click

from imagegen import CallSettings
from imagegen.cli._inputs import read_params, refuse_shared_stdin

_Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is wanted, as the command line said it."""

    model: str
    settings: CallSettings

    @property
    def count(self) -> int:
        """Images wanted."""
        return self.settings.get("count") or 1


_OPTIONS: Final = (
    click.option("--model", required=True, metavar="PROVIDER/MODEL", help="The model, or an alias of the server."),
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
        "--param",
        "pairs",
        multiple=True,
        metavar="PROVIDER.KEY=VALUE",
        help="A parameter of the provider's own; the value is JSON or else text. May be repeated.",
    ),
    click.option("--params-json", metavar="FILE", help='{"PROVIDER": {"KEY": VALUE}}; \'-\' = standard input.'),
    click.option("--strict", is_flag=True, help="Refuse what would only be a warning."),
    click.option(
        "--fallback-model",
        "fallback_models",
        multiple=True,
        metavar="PROVIDER/MODEL",
        help="Tried when the provider fails before anything was accepted or shown. May be repeated.",
    ),
    click.option(
        "--fallback-on-content-filtered", is_flag=True, help="Try the next model also when moderation refuses."
    ),
    click.option("--retry-ambiguous", is_flag=True, help="Repeat also what may have been billed."),
)


def wish_options(function: _Command) -> _Command:
    """Give a command these options; it receives them as `wishes`."""

    @functools.wraps(function)
    def command(
        *,
        model: str,
        count: int | None,
        format_: str | None,
        pairs: tuple[str, ...],
        params_json: str | None,
        strict: bool,
        size: str | None,
        aspect_ratio: str | None,
        resolution: str | None,
        quality: str | None,
        background: str | None,
        compression: int | None,
        seed: int | None,
        negative_prompt: str | None,
        fallback_models: tuple[str, ...],
        fallback_on_content_filtered: bool,
        retry_ambiguous: bool,
        **rest: Any,
    ) -> None:
        inputs = [value for name, value in rest.items() if name != "output" and isinstance(value, str)]
        refuse_shared_stdin(params_json, *inputs)
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
            "params": read_params(pairs, params_json),
            "strict": strict,
            "fallback_models": fallback_models or None,
            "fallback_on_content_filtered": fallback_on_content_filtered or None,
            "retry_ambiguous": retry_ambiguous or None,
        }
        function(wishes=Wishes(model, settings), **rest)

    return functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)

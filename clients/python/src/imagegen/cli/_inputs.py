"""What the command line gives: prompts, images, parameters, tokens; from arguments, files and standard input."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from imagegen import Image, JsonInput

STDIN: Final = "-"
_ID: Final = "id:"

Parameters = dict[str, dict[str, JsonInput]]


def refuse_shared_stdin(*sources: str | None) -> None:
    """Standard input can be read once: at most one of the arguments may be "-"."""
    if sum(source == STDIN for source in sources) > 1:
        raise click.UsageError("only one of the arguments can be '-': standard input is read once")


def read_prompt(argument: str) -> str:
    """The prompt itself, or standard input without its last line end."""
    if argument != STDIN:
        return argument
    try:
        return sys.stdin.buffer.read().decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise click.UsageError("the prompt on standard input is not UTF-8") from error


def read_image(argument: str) -> Image:
    """The image in a file or on standard input, or a reference to one: id:IMAGE_ID or a URL."""
    try:
        if argument.startswith(_ID):
            return Image.from_id(argument.removeprefix(_ID))
        if argument.startswith(("http://", "https://")):
            return Image.from_url(argument)
        if argument == STDIN:
            return Image.from_bytes(sys.stdin.buffer.read())
        return Image.from_path(argument)
    except ValueError as error:
        raise click.UsageError(f"{argument}: {error}") from error
    except OSError as error:
        raise click.UsageError(f"{argument}: {error.strerror or error}") from error


def read_token(variable: str | None, file: Path | None) -> str | None:
    """The token that an environment variable or a file holds; never its value in an error."""
    if variable is not None and file is not None:
        raise click.UsageError("--token-env and --token-file exclude each other")
    if variable is not None:
        token = os.environ.get(variable, "")
        source = f"the environment variable {variable}"
    elif file is not None:
        token = _read_text(file)
        source = str(file)
    else:
        return None
    if not token.strip():
        raise click.UsageError(f"{source} holds no token")
    return token.strip()


def read_params(pairs: Sequence[str], file: str | None) -> Parameters:
    """The parameters of a JSON file, with those given one by one over them."""
    params = _params_of_file(file) if file is not None else {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        provider, dot, key = path.partition(".")
        if not (provider and dot and key and equals):
            raise click.BadParameter(f"{pair!r} is not PROVIDER.KEY=VALUE", param_hint="--param")
        params.setdefault(provider, {})[key] = _json_or_text(text)
    return params


def _params_of_file(file: str) -> Parameters:
    text = sys.stdin.buffer.read().decode("utf-8") if file == STDIN else _read_text(Path(file))
    try:
        params = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON: {error}", param_hint="--params-json") from error
    if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
        raise click.BadParameter('expected {"PROVIDER": {"KEY": VALUE}}', param_hint="--params-json")
    return params


def _json_or_text(text: str) -> JsonInput:
    try:
        value: JsonInput = json.loads(text)
    except ValueError:
        return text
    return value


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} cannot be read: {error}") from error

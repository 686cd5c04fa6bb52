"""Keys of providers: a configuration holds where they are, never what they are."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from imagegen_server.domain.secret import Secret

from .values import ConfigError, Table

_COMMAND_SECONDS = 30.0


class KeyReference(Table):
    """Where a key is: exactly one of an environment variable, a file, or a command that prints it."""

    env: str | None = None
    file: Path | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "KeyReference":
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError('must be one of {env = "NAME"}, {file = "PATH"} and {command = ["PROGRAM", "ARGUMENT"]}')
        return self

    def read(self, key: str) -> Secret:
        """Fetch the key; spaces around it do not count. `key` is the setting's name, for errors.

        :raises ConfigError: it is not there, or empty, or nothing that fits into a header
        """
        if self.env is not None:
            text, where = os.environ.get(self.env, ""), f"the environment variable {self.env}"
        elif self.file is not None:
            text, where = _read_file(self.file, key), str(self.file)
        else:
            text, where = _run(self.command or [], key), f"the output of {shlex.join(self.command or [])}"
        text = text.strip()
        if not text:
            raise ConfigError(f"{key}: {where} is empty or not set")
        if not (text.isascii() and text.isprintable()):
            raise ConfigError(f"{key}: {where} holds more than one line, or characters that no key has")
        return Secret(text)


def _read_file(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "is no text"
        raise ConfigError(f"{key}.file: {path}: {reason}") from None


def _run(command: list[str], key: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_COMMAND_SECONDS)  # noqa: S603 - as configured
    except subprocess.CalledProcessError as problem:
        raise ConfigError(f"{key}.command: {command[0]} ended with status {problem.returncode}") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{key}.command: {command[0]} took longer than {_COMMAND_SECONDS:g} s") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{key}.command: {command[0]}: {problem}") from None
    return done.stdout

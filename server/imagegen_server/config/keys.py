"""Keys of providers: a configuration holds where they are, never what they are."""

import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import KeyStrategy, ProviderKey

from .values import ConfigError, Table, explain

_COMMAND_SECONDS = 30.0
FORMS = '{env = "NAME"}, {file = "PATH"} or {command = ["PROGRAM", "ARGUMENT"]}'


class KeyReference(Table):
    """Where a key is: exactly one of an environment variable, a file, or a command that prints it.

    `weight`: how often it is used, compared with the others of its provider.
    """

    env: str | None = None
    file: Path | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _no_key(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(f"says where the key is, not what it is; write {FORMS}")  # noqa: TRY004 - pydantic
        return value

    @model_validator(mode="after")
    def _one(self) -> "KeyReference":
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError(f"must be exactly one of {FORMS}")
        return self

    def read(self, key: str) -> Secret:
        """Fetch the key; spaces around it do not count. `key` is the setting's name, for errors.

        Messages repeat no more of the reference than a name in capitals: it may be a key, written there by mistake.

        :raises ConfigError: it is not there, or empty, or nothing that fits into a header
        """
        if self.env is not None:
            text, where = os.environ.get(self.env, ""), _name(self.env)
        elif self.file is not None:
            text, where = _read_file(self.file, key), "the file"
        else:
            text, where = _run(self.command or [], key), "the output of the command"
        text = text.strip()
        if not text:
            raise ConfigError(f"{key}: {where} is empty{' or not set' if self.env is not None else ''}")
        if not (text.isascii() and text.isprintable()):
            raise ConfigError(f"{key}: {where} holds more than one line, or characters that no key has")
        return Secret(text)


def fetch_keys(api_key: object, key: str, strategy: KeyStrategy) -> tuple[ProviderKey, ...]:
    """Fetch the keys to which one reference or a list of them leads. `key` is the setting's name, for errors.

    :raises ConfigError: naming every reference that is wrong
    """
    if api_key == []:
        raise ConfigError(f"{key}: must be {FORMS}, or a list of at least one of them")
    fetched: dict[Secret, ProviderKey] = {}
    wrong = []
    for name, given in _named(api_key, key):
        try:
            one = _fetch_key(given, name, strategy)
        except ConfigError as problem:
            wrong.append(str(problem))
        else:
            if one.secret in fetched:
                wrong.append(f"{name}: is the same key as one before it")
            fetched[one.secret] = one
    if wrong:
        raise ConfigError("\n".join(wrong))
    return tuple(fetched.values())


def _named(api_key: object, key: str) -> list[tuple[str, object]]:
    if isinstance(api_key, list):
        return [(f"{key}.{number}", given) for number, given in enumerate(api_key)]
    return [(key, api_key)]


def _fetch_key(given: object, key: str, strategy: KeyStrategy) -> ProviderKey:
    try:
        reference = KeyReference.model_validate(given)
    except ValidationError as problem:
        raise ConfigError(explain(problem, key)) from None
    if "weight" in reference.model_fields_set and strategy != "weighted":
        raise ConfigError(f'{key}.weight: has no effect without key_strategy = "weighted"')
    # What is in the environment of a process does not change while it runs.
    reload = None if reference.env is not None else partial(reference.read, key)
    return ProviderKey(reference.read(key), reference.weight, reload)


def _name(variable: str) -> str:
    """Name a variable if it is written as they are by custom, and keys are not."""
    return f"the environment variable {variable}" if variable.isupper() else "the environment variable that it names"


def _read_file(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"{key}.file: cannot be read: {problem.strerror}") from None
    except ValueError:
        raise ConfigError(f"{key}.file: is no text file") from None


def _run(command: list[str], key: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_COMMAND_SECONDS)  # noqa: S603 - as configured
    except subprocess.CalledProcessError as problem:
        raise ConfigError(f"{key}.command: ended with status {problem.returncode}") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{key}.command: took longer than {_COMMAND_SECONDS:g} s") from None
    except OSError as problem:
        raise ConfigError(f"{key}.command: cannot be run: {problem.strerror}") from None
    except ValueError:
        raise ConfigError(f"{key}.command: cannot be run, or prints no text") from None
    return done.stdout

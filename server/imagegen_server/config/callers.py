"""[server] tokens: the file of those who may call, by their tokens and certificates."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from imagegen_server.domain.caller import ANONYMOUS, Caller
from imagegen_server.domain.credentials import KnownCallers

from .values import ConfigError, Table, explain

_KEY = "server.tokens.file"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")


def _hash(text: str) -> str:
    if not (match := _HASH.fullmatch(text)):
        raise ValueError(
            "must be the hash of a token, sha256: and 64 hexadecimal digits; imagegen-server new-token makes one"
        )
    return match[1].lower()


class CallerTable(Table):
    """[callers.NAME]. `models`, `max_calls` and `images_per_minute` as in Caller; None = no limit."""

    tokens: tuple[Annotated[str, AfterValidator(_hash)], ...] = ()
    certificates: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    models: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    max_calls: Annotated[int, Field(gt=0)] | None = None
    images_per_minute: Annotated[int, Field(gt=0)] | None = None

    def caller(self, name: str) -> Caller:
        """The same as the other rooms know it."""
        return Caller(name, self.models, self.max_calls, self.images_per_minute)


class CallersFile(Table):
    """The whole file. `unlisted_certificates` as in KnownCallers."""

    unlisted_certificates: bool = False
    callers: dict[str, CallerTable] = Field(default_factory=dict)


class TokensTable(Table):
    """Where the file is."""

    file: Path

    def read(self) -> KnownCallers:
        """Read and check it.

        :raises ConfigError: naming every key of the file that is wrong
        """
        try:
            given = CallersFile.model_validate(tomllib.loads(self.file.read_text(encoding="utf-8")))
        except ValidationError as problem:
            raise _wrong(explain(problem).splitlines()) from None
        except OSError as problem:
            raise _wrong([f"{self.file} cannot be read: {problem.strerror}"]) from None
        except (ValueError, RecursionError) as problem:  # tomllib lets through what its parts raise
            raise _wrong([f"{self.file} is no TOML: {problem}"]) from None
        if wrong := [*_wrong_names(given.callers), *_shared(given.callers)]:
            raise _wrong(wrong)
        if not given.callers and not given.unlisted_certificates:
            # A file that is being written is empty for a moment.
            raise _wrong([f"{self.file} names nobody; a caller who shall not call any more has tokens = []"])
        callers = {name: table.caller(name) for name, table in given.callers.items()}
        return KnownCallers(
            tokens={
                bytes.fromhex(token): callers[name] for name, table in given.callers.items() for token in table.tokens
            },
            certificates={
                certificate: callers[name]
                for name, table in given.callers.items()
                for certificate in table.certificates
            },
            unlisted=given.unlisted_certificates,
        )


def _wrong_names(callers: Mapping[str, CallerTable]) -> Iterator[str]:
    for name in callers:
        if not _NAME.fullmatch(name) or name == ANONYMOUS.name:
            yield (
                f"callers.{name}: a caller's name is up to 64 letters, digits, dots, hyphens and underscores, "
                f"and not {ANONYMOUS.name}"
            )


def _shared(callers: Mapping[str, CallerTable]) -> Iterator[str]:
    """Name what would prove two callers."""
    owners: dict[str, str] = {}
    for name, table in callers.items():
        for key in ("tokens", "certificates"):
            for position, proof in enumerate(getattr(table, key)):
                owner = owners.setdefault(f"{key} {proof}", name)
                if owner != name:
                    yield f"callers.{name}.{key}.{position}: is given to callers.{owner} too"


def _wrong(lines: list[str]) -> ConfigError:
    return ConfigError("\n".join(f"{_KEY}: {line}" for line in lines))

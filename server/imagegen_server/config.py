"""Settings, read once: a TOML file, then the environment over it."""

import dataclasses
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from .providers.base import ProviderType

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_LARGEST_PORT = 65535
_LARGEST_MESSAGE = 2**31 - 1
"""In bytes; grpc counts in 32 bits."""

_YEAR = 366 * 24 * 60 * 60
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class ConfigError(Exception):
    """The configuration is wrong. The message names every wrong key."""


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('must be a duration with its unit, such as "30s", "15m" or "250ms"')  # noqa: TRY004 - pydantic
    if not (match := _DURATION.fullmatch(value.strip())):
        raise ValueError(f'{value!r} is no duration; write "30s", "15m", "24h" or "250ms"')
    return float(match[1]) * _UNIT_SECONDS[match[2]]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=_YEAR)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerTable(_Table):
    """[server]."""

    listen: str = "127.0.0.1:50051"
    max_receive_bytes: Annotated[ByteSize, Field(gt=0, le=_LARGEST_MESSAGE)] = ByteSize(65 * 1024 * 1024)
    max_bytes_in_flight: Annotated[ByteSize, Field(gt=0)] = ByteSize(1024 * 1024 * 1024)
    max_inline_bytes: ByteSize = ByteSize(64 * 1024 * 1024)
    max_calls: Annotated[int, Field(gt=0)] = 1000
    drain: Seconds = 30.0
    allow_insecure: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class StoreTable(_Table):
    """[store]."""

    url: Literal["memory://"] = "memory://"
    ttl: Seconds = 15 * 60.0
    max_bytes: Annotated[ByteSize, Field(gt=0)] = ByteSize(512 * 1024 * 1024)


class _ProviderTable(_Table):
    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = ""
    timeout: Seconds = 600.0


class _File(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="IMAGEGEN__", env_nested_delimiter="__", extra="forbid", frozen=True)

    server: ServerTable = ServerTable()
    store: StoreTable = StoreTable()
    providers: dict[str, _ProviderTable] = {}
    aliases: dict[str, str] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, and read nothing else."""
        return env_settings, init_settings


@dataclasses.dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One provider to set up. `settings` is of the type that its ProviderType names; `timeout` in seconds."""

    name: str
    type: ProviderType[Any]
    settings: object
    timeout: float


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """All settings of a server."""

    server: ServerTable
    store: StoreTable
    providers: tuple[ProviderConfig, ...]
    aliases: Mapping[str, str]


def load_config(
    types: Mapping[str, ProviderType[Any]],
    *,
    path: Path | None = None,
    listen: str | None = None,
    allow_insecure: bool = False,
) -> Config:
    """Read the file and the environment, and check all of it.

    `listen` and `allow_insecure` are what the command line says.

    :raises ConfigError: naming every key that is wrong
    """
    given = _read_file(path) if path else {}
    _refuse_unknown_environment()
    try:
        read = _File(**given)
    except ValidationError as problem:
        raise ConfigError(_explain(problem)) from None
    except SettingsError as problem:
        raise ConfigError(f"environment: {problem}; write one variable for each key") from None
    server = read.server.model_copy(update={"listen": listen}) if listen else read.server
    _check_address(server.listen)
    _require_safe_address(server, said_again=allow_insecure)
    tables = dict(read.providers)
    if is_loopback(server.listen):
        for kind in types.values():
            if kind.implicit_on_loopback:
                tables.setdefault(kind.name, _ProviderTable())
    providers, wrong = [], []
    for name, table in tables.items():
        try:
            providers.append(_provider(name, table, types))
        except ConfigError as problem:
            wrong.append(str(problem))
    wrong += _wrong_aliases(read.aliases, set(tables))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return Config(server=server, store=read.store, providers=tuple(providers), aliases=read.aliases)


def is_loopback(listen: str) -> bool:
    """Tell whether an address reaches this machine only. A name other than localhost may lead anywhere."""
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_address(listen: str) -> None:
    if listen.startswith("unix:"):
        return
    host, colon, port = listen.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) <= _LARGEST_PORT):
        raise ConfigError(
            f'server.listen: {listen!r} is no address; write "127.0.0.1:50051", "[::1]:50051" (port 0 = any free one) '
            'or "unix:/path"'
        )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: {problem}") from None


def _refuse_unknown_environment() -> None:
    prefix = "IMAGEGEN__"
    for name in os.environ:
        section = name.upper().removeprefix(prefix).partition("__")[0].lower()
        if name.upper().startswith(prefix) and section not in _File.model_fields:
            known = ", ".join(f"{prefix}{field.upper()}__..." for field in _File.model_fields)
            raise ConfigError(f"{name}: no such section; there are {known}")


_PLAIN_WORDS = {
    "extra_forbidden": "is no such key",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "dataclass_type": "must be a table",
}


def _explain(problem: ValidationError, prefix: str = "") -> str:
    lines = []
    for error in problem.errors():
        key = ".".join(str(part) for part in (*([prefix] if prefix else []), *error["loc"]))
        what = _PLAIN_WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        lines.append(f"{key}: {what}")
    return "\n".join(lines)


def _require_safe_address(server: ServerTable, *, said_again: bool) -> None:
    if is_loopback(server.listen) or (server.allow_insecure and said_again):
        return
    raise ConfigError(
        f"server.listen: {server.listen} can be reached from other machines, and this server has neither TLS nor "
        "authentication; listen on 127.0.0.1, or say it twice: server.allow_insecure = true and --allow-insecure"
    )


def _provider(name: str, table: _ProviderTable, types: Mapping[str, ProviderType[Any]]) -> ProviderConfig:
    key = f"providers.{name}"
    if "/" in name or not name:
        raise ConfigError(f"{key}: a provider's name has no slash, because a model's name is provider/model")
    kind = types.get(table.type or name)
    if kind is None:
        known = ", ".join(sorted(types)) or "none"
        raise ConfigError(f"{key}.type: {table.type or name!r} is no provider type; installed are {known}")
    own = table.model_extra or {}
    fields = {field.name for field in dataclasses.fields(kind.settings)}
    known = ", ".join(sorted(fields | {"type", "timeout"}))
    wrong = [f"{key}.{extra}: is no such key; there are {known}" for extra in sorted(set(own) - fields)]
    settings = None
    try:
        settings = TypeAdapter(kind.settings).validate_python({name: own[name] for name in own if name in fields})
    except ValidationError as problem:
        wrong.append(_explain(problem, key))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return ProviderConfig(name, kind, settings, table.timeout)


def _wrong_aliases(aliases: Mapping[str, str], providers: set[str]) -> Iterator[str]:
    for alias, target in aliases.items():
        provider, slash, model = target.partition("/")
        if "/" in alias or not alias:
            yield f"aliases.{alias}: an alias is a word without a slash"
        elif not slash or not model:
            yield f"aliases.{alias}: {target!r} is not of the form provider/model"
        elif provider not in providers:
            known = ", ".join(sorted(providers)) or "none"
            yield f"aliases.{alias}: provider {provider!r} is not configured (configured: {known})"

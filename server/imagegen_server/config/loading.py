"""Settings, read once: a TOML file, then the environment over it."""

import dataclasses
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from imagegen_server.generation.middleware_types import MiddlewareType
from imagegen_server.generation.prices import Price
from imagegen_server.http.guarded_fetch import FetchSettings
from imagegen_server.providers.base import ProviderType

from .fetching import FetchTable
from .middleware import MiddlewareConfig, MiddlewareTable, middleware_configs
from .prices import PriceTable
from .providers import ProviderConfig, ProviderTable, implicit_tables, provider_config
from .server import ServerTable, check_address, check_workers, is_loopback, require_safe_address
from .storing import StoreTable
from .values import ConfigError, explain


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Models = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
"""One "provider/model", or a list of them."""


class _File(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="IMAGEGEN__", env_nested_delimiter="__", extra="forbid", frozen=True)

    server: ServerTable = ServerTable()
    store: StoreTable = StoreTable()
    fetch: FetchTable = FetchTable()
    providers: dict[str, ProviderTable] = {}
    aliases: dict[str, Models] = {}
    prices: dict[str, PriceTable] = {}
    middleware: dict[str, MiddlewareTable] = {}

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
class Config:
    """All settings of a server."""

    server: ServerTable
    store: StoreTable
    providers: tuple[ProviderConfig, ...]
    aliases: Mapping[str, Sequence[str]]
    """What each stands for: "provider/model", in the order in which they are tried."""
    prices: Mapping[str, Price] = dataclasses.field(default_factory=dict)
    """By "provider/model"."""
    middleware: tuple[MiddlewareConfig, ...] = ()
    """In the order in which it is run."""
    fetch: FetchSettings = dataclasses.field(default_factory=FetchSettings)


def read_text(path: Path) -> str:
    """Read a file of settings, once: what is read twice may have changed, or be a pipe.

    :raises ConfigError: it cannot be read
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: {problem}") from None


def read_server(
    *,
    path: Path | None = None,
    text: str | None = None,
    listen: str | None = None,
    workers: int | None = None,
    allow_insecure: bool = False,
) -> tuple[ServerTable, StoreTable]:
    """Read [server] and [store] as `load_config` does, and see that so many workers can serve together.

    It needs no provider, and so nothing of what they import.

    :raises ConfigError: naming the keys that are wrong
    """
    read = _read(path, text)
    server = _settled(read.server, listen, workers, allow_insecure=allow_insecure)
    check_workers(server, read.store)
    return server, read.store


def load_config(
    types: Mapping[str, ProviderType[Any]],
    *,
    path: Path | None = None,
    text: str | None = None,
    middleware: Mapping[str, MiddlewareType[Any]] | None = None,
    listen: str | None = None,
    workers: int | None = None,
    allow_insecure: bool = False,
) -> Config:
    """Read the file and the environment, and check all of it.

    `types` and `middleware` are what is installed; `listen`, `workers` and `allow_insecure` are what the command line
    says. `text` is what the file at `path` says, if it was read already.

    :raises ConfigError: naming every key that is wrong
    """
    read = _read(path, text)
    server = _settled(read.server, listen, workers, allow_insecure=allow_insecure)
    wrong = list(_wrong_files(server, read.store))
    implicit = implicit_tables(types, loopback=is_loopback(server.listen))
    tables = dict(read.providers) | {name: table for name, table in implicit.items() if name not in read.providers}
    providers = []
    for name, table in tables.items():
        try:
            providers.append(provider_config(name, table, types))
        except ConfigError as problem:
            wrong.append(str(problem))
    chain: tuple[MiddlewareConfig, ...] = ()
    try:
        chain = middleware_configs(read.middleware, middleware or {})
    except ConfigError as problem:
        wrong.append(str(problem))
    wrong += _wrong_aliases(read.aliases, set(tables))
    wrong += _wrong_prices(read.prices, set(tables))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return Config(
        server=server,
        store=read.store,
        providers=tuple(providers),
        aliases=read.aliases,
        prices={model: table.price() for model, table in read.prices.items()},
        middleware=chain,
        fetch=read.fetch.settings(),
    )


def _read(path: Path | None, text: str | None) -> _File:
    if path and text is None:
        text = read_text(path)
    try:
        given = tomllib.loads(text or "")
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: {problem}") from None
    _refuse_unknown_environment()
    try:
        return _File(**given)
    except ValidationError as problem:
        raise ConfigError(explain(problem)) from None
    except SettingsError as problem:
        raise ConfigError(f"environment: {problem}; write one variable for each key") from None


def _settled(server: ServerTable, listen: str | None, workers: int | None, *, allow_insecure: bool) -> ServerTable:
    """Put what the command line says over the rest, and check the address."""
    said = {"listen": listen or None, "workers": workers}
    server = server.model_copy(update={key: value for key, value in said.items() if value is not None})
    check_address(server.listen)
    require_safe_address(server, said_again=allow_insecure)
    return server


def _refuse_unknown_environment() -> None:
    prefix = "IMAGEGEN__"
    for name in os.environ:
        section = name.upper().removeprefix(prefix).partition("__")[0].lower()
        if name.upper().startswith(prefix) and section not in _File.model_fields:
            known = ", ".join(f"{prefix}{field.upper()}__..." for field in _File.model_fields)
            raise ConfigError(f"{name}: no such section; there are {known}")


def _wrong_files(server: ServerTable, store: StoreTable) -> Iterator[str]:
    for table in (server.tls, server.tokens, store):
        try:
            if table:
                table.read()
        except ConfigError as problem:
            yield str(problem)


def _wrong_aliases(aliases: Mapping[str, Sequence[str]], providers: set[str]) -> Iterator[str]:
    for alias, targets in aliases.items():
        if "/" in alias or not alias:
            yield f"aliases.{alias}: an alias is a word without a slash"
            continue
        if not targets or len(set(targets)) < len(targets):
            yield f"aliases.{alias}: must name at least one model, and none twice"
        for target in targets:
            provider, slash, model = target.partition("/")
            if not slash or not model:
                yield f"aliases.{alias}: {target!r} is not of the form provider/model"
            elif provider not in providers:
                yield f"aliases.{alias}: {_not_configured(provider, providers)}"


def _wrong_prices(prices: Mapping[str, PriceTable], providers: set[str]) -> Iterator[str]:
    for model in prices:
        provider, slash, name = model.partition("/")
        if not slash or not name:
            yield f"prices.{model}: prices are given by model, as provider/model"
        elif provider not in providers:
            yield f"prices.{model}: {_not_configured(provider, providers)}"


def _not_configured(provider: str, providers: set[str]) -> str:
    return f"provider {provider!r} is not configured (configured: {', '.join(sorted(providers)) or 'none'})"

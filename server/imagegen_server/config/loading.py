"""Settings, read once: a TOML file, then the environment over it."""

import dataclasses
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from imagegen_server.generation.middleware_types import MiddlewareType
from imagegen_server.generation.prices import Price
from imagegen_server.http.guarded_fetch import FetchSettings
from imagegen_server.providers.base import ProviderType

from .callers import TokensTable
from .fetching import FetchTable
from .middleware import MiddlewareConfig, MiddlewareTable, middleware_configs
from .prices import PriceTable
from .providers import ProviderConfig, ProviderTable, implicit_tables, provider_config
from .storing import StoreTable
from .tls import TlsTable
from .values import ConfigError, Seconds, Table, explain

_LARGEST_PORT = 65535
_LARGEST_MESSAGE = 2**31 - 1
"""In bytes; grpc counts in 32 bits."""


class ServerTable(Table):
    """[server]."""

    listen: str = "127.0.0.1:50051"
    max_receive_bytes: Annotated[ByteSize, Field(gt=0, le=_LARGEST_MESSAGE)] = ByteSize(65 * 1024 * 1024)
    max_bytes_in_flight: Annotated[ByteSize, Field(gt=0)] = ByteSize(1024 * 1024 * 1024)
    max_inline_bytes: ByteSize = ByteSize(64 * 1024 * 1024)
    max_calls: Annotated[int, Field(gt=0)] = 1000
    drain: Seconds = 30.0
    allow_insecure: bool = False
    tls: TlsTable | None = None
    tokens: TokensTable | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"


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


def load_config(
    types: Mapping[str, ProviderType[Any]],
    *,
    path: Path | None = None,
    middleware: Mapping[str, MiddlewareType[Any]] | None = None,
    listen: str | None = None,
    allow_insecure: bool = False,
) -> Config:
    """Read the file and the environment, and check all of it.

    `types` and `middleware` are what is installed; `listen` and `allow_insecure` are what the command line says.

    :raises ConfigError: naming every key that is wrong
    """
    given = _read_file(path) if path else {}
    _refuse_unknown_environment()
    try:
        read = _File(**given)
    except ValidationError as problem:
        raise ConfigError(explain(problem)) from None
    except SettingsError as problem:
        raise ConfigError(f"environment: {problem}; write one variable for each key") from None
    server = read.server.model_copy(update={"listen": listen}) if listen else read.server
    _check_address(server.listen)
    _require_safe_address(server, said_again=allow_insecure)
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


def _require_safe_address(server: ServerTable, *, said_again: bool) -> None:
    authenticates = server.tokens is not None or (server.tls is not None and server.tls.client_ca is not None)
    if is_loopback(server.listen) or (server.tls and authenticates) or (server.allow_insecure and said_again):
        return
    if server.tls:
        lack = "would serve anybody; set server.tls.client_ca, server.tokens or both"
    elif server.tokens:
        lack = "would take tokens in clear text; set server.tls"
    else:
        lack = "has neither TLS nor authentication; set server.tls, and server.tls.client_ca or server.tokens"
    raise ConfigError(
        f"server.listen: {server.listen} can be reached from other machines, and this server {lack}; or listen on "
        "127.0.0.1, or say it twice: server.allow_insecure = true and --allow-insecure"
    )


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

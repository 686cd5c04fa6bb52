"""[providers.NAME]: which providers are set up, and how they are reached."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from imagegen_server.generation.fair_queue import QueueSettings
from imagegen_server.generation.keys import KeyStrategy, ProviderKey
from imagegen_server.generation.retry import RetrySettings, StrategyName
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.transport import HttpSettings, open_transport
from imagegen_server.providers.base import ProviderType, Remote

from .keys import FORMS, fetch_keys
from .values import ConfigError, Seconds, Table, explain


class RetryTable(Table):
    """When a request is repeated."""

    strategy: StrategyName = "exponential"
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    base_delay: Seconds = 1.0
    max_delay: Seconds = 30.0
    ambiguous: bool = False
    capacity: Annotated[int, Field(gt=0)] = 10
    per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class ProviderTable(Table):
    """What every provider has. The other keys belong to the kind."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = ""
    timeout: Seconds = 600.0
    concurrency: Annotated[int, Field(gt=0)] = 64
    queue: Annotated[int, Field(ge=0)] = 1000
    requests_per_minute: Annotated[int, Field(gt=0)] | None = None
    retry: RetryTable = RetryTable()

    def upstream(self, keys: tuple[ProviderKey, ...], key_strategy: KeyStrategy) -> UpstreamSettings:
        """Put together when, how often and with which key the provider is asked."""
        return UpstreamSettings(
            keys=keys,
            key_strategy=key_strategy,
            retry=RetrySettings(**dict(self.retry)),
            queue=QueueSettings(self.concurrency, self.queue, self.requests_per_minute),
        )


class RemoteTable(Table):
    """What every provider has that is reached by HTTP."""

    base_url: str = ""
    api_key: object = None
    """A KeyReference, or a list of them."""
    key_strategy: KeyStrategy = "round_robin"
    headers: dict[str, str] = Field(default_factory=dict)
    proxy: str = ""
    ca: str = ""
    engine: Literal["aiohttp", "httpx"] = "aiohttp"


@dataclasses.dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One provider to set up. `settings` is of the type that its ProviderType names; `timeout` in seconds.

    `http` is None for a provider that is not reached by HTTP.
    """

    name: str
    type: ProviderType[Any]
    settings: object
    timeout: float
    http: HttpSettings | None = None
    upstream: UpstreamSettings = dataclasses.field(default_factory=UpstreamSettings)


def implicit_tables(types: Mapping[str, ProviderType[Any]], *, loopback: bool) -> dict[str, ProviderTable]:
    """The providers that are there without a table: those whose key is in the environment, and local ones."""
    return {
        kind.name: ProviderTable()
        for kind in types.values()
        if (kind.implicit_on_loopback and loopback) or (kind.remote and _said_by_environment(kind.remote))
    }


def _said_by_environment(remote: Remote[Any]) -> bool:
    """Whether the environment alone sets a provider up: its key, and where a setting has a variable, that one, too."""
    needed = [] if remote.base_url else list(remote.settings_env.values())
    return bool(_variable(remote.key_env)) and all(_variable(names) for names in needed)


def _variable(names: str | tuple[str, ...]) -> str:
    """Read the first variable that is set; "" = none, or none is named."""
    names = (names,) if isinstance(names, str) else names
    return next((value for name in names if name and (value := os.environ.get(name, "").strip())), "")


def provider_config(name: str, table: ProviderTable, types: Mapping[str, ProviderType[Any]]) -> ProviderConfig:
    """Check one table.

    :raises ConfigError: naming every key that is wrong
    """
    key = f"providers.{name}"
    if "/" in name or not name:
        raise ConfigError(f"{key}: a provider's name has no slash, because a model's name is provider/model")
    kind = types.get(table.type or name)
    if kind is None:
        known = ", ".join(sorted(types)) or "none"
        raise ConfigError(f"{key}.type: {table.type or name!r} is no provider type; installed are {known}")
    given = table.model_extra or {}
    own = {field.name for field in dataclasses.fields(kind.settings)}
    shared = _shared(kind.remote)
    known = ", ".join(sorted(own | shared | set(ProviderTable.model_fields)))
    wrong = [f"{key}.{extra}: is no such key; there are {known}" for extra in sorted(set(given) - own - shared)]
    settings, http, remote = None, None, RemoteTable()
    api_keys: tuple[ProviderKey, ...] = ()
    try:
        settings = TypeAdapter(kind.settings).validate_python(
            _from_environment(kind.remote) | {item: given[item] for item in given if item in own}
        )
    except ValidationError as problem:
        wrong.append(explain(problem, key))
    if kind.remote:
        try:
            remote = _remote_table(key, {item: given[item] for item in given if item in shared})
            http, api_keys = _remote(key, remote, kind, settings)
        except ConfigError as problem:
            wrong.append(str(problem))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return ProviderConfig(name, kind, settings, table.timeout, http, table.upstream(api_keys, remote.key_strategy))


def _shared(remote: Remote[Any] | None) -> set[str]:
    """Name the keys of a table that all remote providers share."""
    if remote is None:
        return set()
    return set(RemoteTable.model_fields) if remote.http else {"api_key", "key_strategy"}


def _from_environment(remote: Remote[Any] | None) -> dict[str, str]:
    variables = remote.settings_env if remote else {}
    return {setting: value for setting, names in variables.items() if (value := _variable(names))}


def _remote_table(key: str, given: Mapping[str, object]) -> RemoteTable:
    try:
        return RemoteTable.model_validate(given)
    except ValidationError as problem:
        raise ConfigError(explain(problem, key)) from None


def _remote(
    key: str, table: RemoteTable, kind: ProviderType[Any], settings: object
) -> tuple[HttpSettings | None, tuple[ProviderKey, ...]]:
    """Check what every remote table has. `settings` are the kind's own; None = they are wrong, and that is told."""
    assert kind.remote is not None
    http, wrong = None, []
    api_keys: tuple[ProviderKey, ...] = ()
    try:
        http = _http(key, table, kind.remote, settings)
    except ConfigError as problem:
        wrong.append(str(problem))
    try:
        api_keys = _keys(key, table, kind, settings)
    except ConfigError as problem:
        wrong.append(str(problem))
    refused = kind.remote.key_refused
    if api_keys and settings is not None and refused and (why := refused(settings)):
        wrong.append(f"{key}.{why}")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return http, api_keys


def _http(key: str, table: RemoteTable, remote: Remote[Any], settings: object) -> HttpSettings | None:
    base_url = table.base_url or remote.base_url
    if not base_url and remote.base_url_of:
        if settings is None:
            return None
        try:
            base_url = remote.base_url_of(settings)
        except ValueError as problem:
            raise ConfigError(f"{key}.{problem}") from None
    if not remote.http:
        return None
    if not base_url:
        raise ConfigError(f"{key}.base_url: is required")
    try:
        settings = HttpSettings(
            base_url=base_url,
            headers=table.headers,
            proxy=table.proxy,
            ca=table.ca,
            engine=table.engine,
        )
        open_transport(settings)  # opens nothing, and refuses certificates and proxies that cannot be used
    except ValueError as problem:
        at, _, what = str(problem).partition(" ")  # it begins with the name of the key
        raise ConfigError(f"{key}.{at.rstrip(':')}: {what}") from None
    return settings


def _keys(key: str, table: RemoteTable, kind: ProviderType[Any], settings: object) -> tuple[ProviderKey, ...]:
    if table.api_key is not None:
        return fetch_keys(table.api_key, f"{key}.api_key", table.key_strategy)
    remote = kind.remote
    assert remote is not None
    required = remote.key_required
    if not isinstance(required, bool):
        required = settings is not None and required(settings)
    if table.base_url and key != f"providers.{kind.name}":
        # The vendor's key must not go to another host because somebody left a line out.
        if required:
            raise ConfigError(f"{key}.api_key: is required beside base_url; say where it is: {FORMS}")
        return ()
    if _variable(remote.key_env):
        return fetch_keys({"env": remote.key_env}, f"{key}.api_key", table.key_strategy)
    if not required:
        return ()
    where = f"set {remote.key_env}, or say where it is" if remote.key_env else "say where it is"
    otherwise = f"; or {remote.without_key}" if remote.without_key else ""
    raise ConfigError(f"{key}.api_key: is required; {where}: {FORMS}{otherwise}")

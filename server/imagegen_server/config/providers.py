"""[providers.NAME]: which providers are set up, and how they are reached."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from imagegen_server.domain.secret import Secret
from imagegen_server.http.transport import HttpSettings, open_transport
from imagegen_server.providers.base import ProviderType, Remote

from .keys import FORMS, KeyReference
from .values import ConfigError, Seconds, Table, explain


class ProviderTable(Table):
    """What every provider has. The other keys belong to the kind."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = ""
    timeout: Seconds = 600.0


class RemoteTable(Table):
    """What every provider has that is reached by HTTP."""

    base_url: str = ""
    api_key: KeyReference | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    concurrency: Annotated[int, Field(gt=0)] = 64
    proxy: str = ""
    ca: str = ""
    engine: Literal["aiohttp", "httpx"] = "aiohttp"


@dataclasses.dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One provider to set up. `settings` is of the type that its ProviderType names; `timeout` in seconds.

    `http` and `key` are None for a provider that is not reached by HTTP, or needs no key.
    """

    name: str
    type: ProviderType[Any]
    settings: object
    timeout: float
    http: HttpSettings | None = None
    key: Secret | None = None


def implicit_tables(types: Mapping[str, ProviderType[Any]], *, loopback: bool) -> dict[str, ProviderTable]:
    """The providers that are there without a table: those whose key is in the environment, and local ones."""
    return {
        kind.name: ProviderTable()
        for kind in types.values()
        if (kind.implicit_on_loopback and loopback)
        or (kind.remote and kind.remote.key_env and os.environ.get(kind.remote.key_env, "").strip())
    }


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
    shared = set(RemoteTable.model_fields) if kind.remote else set()
    known = ", ".join(sorted(own | shared | set(ProviderTable.model_fields)))
    wrong = [f"{key}.{extra}: is no such key; there are {known}" for extra in sorted(set(given) - own - shared)]
    settings, http, secret = None, None, None
    try:
        settings = TypeAdapter(kind.settings).validate_python({item: given[item] for item in given if item in own})
    except ValidationError as problem:
        wrong.append(explain(problem, key))
    if kind.remote:
        try:
            http, secret = _remote(key, {item: given[item] for item in given if item in shared}, kind)
        except ConfigError as problem:
            wrong.append(str(problem))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return ProviderConfig(name, kind, settings, table.timeout, http, secret)


def _remote(
    key: str, given: Mapping[str, object], kind: ProviderType[Any]
) -> tuple[HttpSettings | None, Secret | None]:
    assert kind.remote is not None
    try:
        table = RemoteTable.model_validate(given)
    except ValidationError as problem:
        raise ConfigError(explain(problem, key)) from None
    http, secret, wrong = None, None, []
    try:
        http = _http(key, table, kind.remote)
    except ConfigError as problem:
        wrong.append(str(problem))
    try:
        secret = _key(key, table, kind)
    except ConfigError as problem:
        wrong.append(str(problem))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return http, secret


def _http(key: str, table: RemoteTable, remote: Remote) -> HttpSettings:
    base_url = table.base_url or remote.base_url
    if not base_url:
        raise ConfigError(f"{key}.base_url: is required")
    try:
        settings = HttpSettings(
            base_url=base_url,
            headers=table.headers,
            concurrency=table.concurrency,
            proxy=table.proxy,
            ca=table.ca,
            engine=table.engine,
        )
        open_transport(settings)  # opens nothing, and refuses certificates and proxies that cannot be used
    except ValueError as problem:
        at, _, what = str(problem).partition(" ")  # it begins with the name of the key
        raise ConfigError(f"{key}.{at.rstrip(':')}: {what}") from None
    return settings


def _key(key: str, table: RemoteTable, kind: ProviderType[Any]) -> Secret | None:
    if table.api_key:
        return table.api_key.read(f"{key}.api_key")
    remote = kind.remote
    assert remote is not None
    if table.base_url and key != f"providers.{kind.name}" and remote.key_required:
        # The vendor's key must not go to another host because somebody left a line out.
        raise ConfigError(f"{key}.api_key: is required beside base_url; say where it is: {FORMS}")
    if remote.key_env and os.environ.get(remote.key_env, "").strip():
        return KeyReference(env=remote.key_env).read(f"{key}.api_key")
    if not remote.key_required:
        return None
    where = f"set {remote.key_env}, or say where it is" if remote.key_env else "say where it is"
    raise ConfigError(f"{key}.api_key: is required; {where}: {FORMS}")

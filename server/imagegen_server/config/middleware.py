"""[middleware.NAME]: which middleware sees the generations, in which order."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from imagegen_server.generation.middleware_types import MiddlewareType

from .values import ConfigError, Table, explain


class MiddlewareTable(Table):
    """What every middleware has. The other keys belong to the kind."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = ""
    enabled: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class MiddlewareConfig:
    """One middleware to set up. `settings` is of the type that its MiddlewareType names."""

    name: str
    type: MiddlewareType[Any]
    settings: object


def middleware_configs(
    tables: Mapping[str, MiddlewareTable], types: Mapping[str, MiddlewareType[Any]]
) -> tuple[MiddlewareConfig, ...]:
    """Check all tables: those that are there by default first, then the others in their order.

    :raises ConfigError: naming every key that is wrong
    """
    default = {kind.name: MiddlewareTable() for kind in types.values() if kind.by_default and kind.name not in tables}
    found, wrong = [], []
    for name, table in (default | dict(tables)).items():
        try:
            one = _middleware_config(name, table, types)
        except ConfigError as problem:
            wrong.append(str(problem))
        else:
            found += [one] if table.enabled else []
    if wrong:
        raise ConfigError("\n".join(wrong))
    return tuple(found)


def _middleware_config(name: str, table: MiddlewareTable, types: Mapping[str, MiddlewareType[Any]]) -> MiddlewareConfig:
    key = f"middleware.{name}"
    kind = types.get(table.type or name)
    if kind is None:
        known = ", ".join(sorted(types)) or "none"
        raise ConfigError(f"{key}.type: {table.type or name!r} is no type of middleware; installed are {known}")
    given = table.model_extra or {}
    own = {field.name for field in dataclasses.fields(kind.settings)}
    known = ", ".join(sorted(own | set(MiddlewareTable.model_fields)))
    wrong = [f"{key}.{extra}: is no such key; there are {known}" for extra in sorted(set(given) - own)]
    settings = None
    try:
        settings = TypeAdapter(kind.settings).validate_python({item: given[item] for item in given if item in own})
    except ValidationError as problem:
        # A table that is switched off may be empty.
        if table.enabled:
            wrong.append(explain(problem, key))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return MiddlewareConfig(name, kind, settings)

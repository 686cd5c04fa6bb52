"""Values of the domain as JSON, and back.

A list stands for each value that JSON does not know, its first item saying which; so does one for each object and each
list, and nothing that a provider or a caller wrote can be taken for something else. Fields that this version does not
know are left out, and those that an older one did not write have their defaults.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from imagegen_server.domain import errors, events, image, result
from imagegen_server.domain.errors import ImageError
from imagegen_server.generation.store import RequestRecord

_CLASSES: dict[str, type[Any]] = {
    one.__name__: one
    for module in (errors, events, image, result)
    for one in vars(module).values()
    if isinstance(one, type) and (dataclasses.is_dataclass(one) or issubclass(one, Enum))
} | {"RequestRecord": RequestRecord}


def encode(value: object) -> str:
    """Write a value."""
    return json.dumps(_written(value), separators=(",", ":"))


def decode(text: str | bytes) -> Any:
    """Read a value.

    :raises ValueError: it is none that was written here
    """
    try:
        return _read(json.loads(text))
    except (KeyError, TypeError, IndexError, AttributeError) as problem:
        raise ValueError(f"no value of the store: {type(problem).__name__}") from None


def _written(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    items: tuple[object, ...]
    match value:
        case ImageError():
            # As it was raised it holds the frames it came through.
            items = "!", {name: _written(item) for name, item in vars(value).items() if not name.startswith("__")}
        case Enum():
            items = type(value).__name__, value.name
        case bytes():
            items = ("b",)  # they go another way
        case datetime():
            items = "@", value.isoformat()
        case Mapping():
            items = "{", {name: _written(item) for name, item in value.items()}
        case tuple() | list() | frozenset():
            rest = sorted(value) if isinstance(value, frozenset) else value
            items = _SIGNS[type(value)], *map(_written, rest)
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            items = type(value).__name__, {field.name: _written(getattr(value, field.name)) for field in fields}
        case _:
            raise TypeError(f"{type(value).__name__} has no place in the store")
    return items


def _read(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    sign, *rest = value
    return _READERS[sign](rest) if sign in _READERS else _read_named(_CLASSES[sign], rest[0])


def _read_error(rest: list[Any]) -> ImageError:
    error = ImageError.__new__(ImageError, rest[0]["message"])
    error.__dict__.update({name: _read(item) for name, item in rest[0].items()})
    return error


def _read_named(kind: type[Any], said: Any) -> object:
    if issubclass(kind, Enum):
        return kind[said]
    known = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: _read(item) for name, item in said.items() if name in known})


_SIGNS: dict[type, str] = {tuple: "(", list: "[", frozenset: "<"}

_READERS: dict[str, Callable[[list[Any]], object]] = {
    "!": _read_error,
    "b": lambda _: b"",
    "@": lambda rest: datetime.fromisoformat(rest[0]),
    "{": lambda rest: {name: _read(item) for name, item in rest[0].items()},
    "(": lambda rest: tuple(map(_read, rest)),
    "[": lambda rest: list(map(_read, rest)),
    "<": lambda rest: frozenset(map(_read, rest)),
}

"""Provider parameters: plain JSON values to google.protobuf.Struct and back, without damage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

from google.protobuf import struct_pb2

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
"""A JSON value that is handed out."""

JsonInput: TypeAlias = "str | int | float | bool | Sequence[JsonInput] | Mapping[str, JsonInput] | None"
"""A JSON value that is taken: arrays are lists or tuples, objects any mapping."""

Params: TypeAlias = Mapping[str, Mapping[str, JsonInput]]
"""A provider's own parameters by its configured name or its type: `{"openai": {"moderation": "low"}}`."""

Metadata: TypeAlias = Mapping[str, Mapping[str, JsonValue]]
"""What a provider said besides, by provider name. Numbers are doubles."""

# From here on neighbouring integers share one double.
_FIRST_INEXACT: Final = 2**53


def params_to_proto(params: Params) -> dict[str, struct_pb2.Struct]:
    """Turn `params` into what the request carries.

    Raises:
        ValueError: a number that a double cannot hold: an integer from 2^53 in magnitude on, NaN or infinity. The text
            names the key. Give such a number as a string.
        TypeError: a value that is not JSON, or a key that is not text. The text names the key.
    """
    return {provider: _struct(values, f"params.{provider}") for provider, values in params.items()}


def merge_params(bound: Params, given: Params) -> Params:
    """`bound` with the keys of `given` laid over it, provider by provider; later changes of `given` change nothing."""
    said: dict[str, object] = {**given}  # as typed, or what a caller without types gave: that is told by name later
    joined = {
        provider: {**bound.get(provider, {}), **values} if isinstance(values, Mapping) else values
        for provider, values in said.items()
    }
    return {**bound, **cast("Params", joined)}


def metadata_from_proto(metadata: Mapping[str, struct_pb2.Struct]) -> dict[str, dict[str, JsonValue]]:
    """Turn a map of Structs into plain values; every number is a float."""
    return {provider: _object(struct) for provider, struct in metadata.items()}


def _struct(values: object, path: str) -> struct_pb2.Struct:
    if not isinstance(values, Mapping):
        raise TypeError(f"{path} must be a mapping of parameter names to JSON values, not {type(values).__name__}")
    struct = struct_pb2.Struct()
    for key, value in values.items():
        if not isinstance(key, str):
            raise TypeError(f"{path} has a key that is not text: {key!r}")
        struct.fields[key].CopyFrom(_value(value, f"{path}.{key}"))
    return struct


def _value(value: object, path: str) -> struct_pb2.Value:
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=_number(value, path))
        case Mapping():
            return struct_pb2.Value(struct_value=_struct(value, path))
        case list() | tuple():
            items = [_value(item, f"{path}[{position}]") for position, item in enumerate(value)]
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
        case _:
            raise TypeError(f"{path} is not a JSON value: {type(value).__name__}")


def _number(value: float, path: str) -> float:
    if not isinstance(value, int) and not math.isfinite(value):
        raise ValueError(f"{path} is {value}, which JSON cannot say")
    if abs(value) >= _FIRST_INEXACT:
        raise ValueError(f"{path} is a whole number from 2^53 on, which arrives damaged: give it as a string")
    return float(value)


def _object(struct: struct_pb2.Struct) -> dict[str, JsonValue]:
    fields = struct.fields
    return {key: _plain(fields[key]) for key in fields}  # the items() of a message's map are slow


def _plain(value: struct_pb2.Value) -> JsonValue:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "struct_value":
            return _object(value.struct_value)
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case _:
            return None

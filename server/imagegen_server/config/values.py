"""How values are written in a configuration, and what is said of those that are wrong."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_YEAR = 366 * 24 * 60 * 60
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class ConfigError(ValueError):
    """The configuration is wrong. The message names every wrong key."""


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('must be a duration with its unit, such as "30s", "15m" or "250ms"')  # noqa: TRY004 - pydantic
    if not (match := _DURATION.fullmatch(value.strip())):
        raise ValueError(f'{value!r} is no duration; write "30s", "15m", "24h" or "250ms"')
    return float(match[1]) * _UNIT_SECONDS[match[2]]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=_YEAR)]


class Table(BaseModel):
    """A table of the file. An unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_PLAIN_WORDS = {
    "extra_forbidden": "is no such key",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "dataclass_type": "must be a table",
    "tuple_type": "must be a list",
}


def explain(problem: ValidationError, prefix: str = "") -> str:
    """Say what is wrong, a line for each key, without the values: one of them may be a secret."""
    lines = []
    for error in problem.errors():
        key = ".".join(str(part) for part in (*([prefix] if prefix else []), *error["loc"]))
        what = _PLAIN_WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        lines.append(f"{key}: {what}")
    return "\n".join(lines)

"""The provider's own parameters: which of them are meant, and those that say what an option says."""

import re
from dataclasses import dataclass, replace

from imagegen_server.domain.errors import Violation
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import MAX_COMPRESSION, MAX_PREVIEWS, MAX_SIDE, Options, PixelSize, Wish
from imagegen_server.providers.registry import ProviderEntry

_WHOLE = {
    "count": (1, None),
    "seed": (None, None),
    "compression": (0, MAX_COMPRESSION),
    "preview_count": (0, MAX_PREVIEWS),
}
"""Options that are whole numbers, with the least and the most."""

_PIXELS = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Merged:
    """A wish with the options that params say, and the params that are left to be sent unmodified.

    `read_options` names these options: what a caller says in the provider's own words is not held against our lists.
    """

    wish: Wish
    params: JsonObject
    read_options: frozenset[str]


def merge_params(wish: Wish, entry: ProviderEntry, wrong: list[Violation], noted: list[Warning]) -> Merged:
    """Pick the params meant for a provider, and read those that say what an option says as that option.

    Appends to `wrong` what the adapter must control itself or what cannot be read, and to `noted` what was said twice.
    """
    key = entry.name if entry.name in wish.params else entry.type_name
    given = wish.params.get(key, {})
    options, left, read_options = wish.options, dict(given), set()
    for name, value in given.items():
        path = f"params.{key}.{name}"
        if name in entry.provider.controlled_params:
            wrong.append(Violation(path, "is set by the server; use the request's own field"))
        elif option := entry.provider.param_options.get(name):
            try:
                read = _as_option(option, value)
            except ValueError as problem:
                wrong.append(Violation(path, str(problem)))
                continue
            if getattr(options, option) is not None:
                message = f"{path} says {value!r}, and params win"
                noted.append(Warning(f"options.{option}", WarningReason.OVERRIDDEN_BY_PARAMS, message))
            options = _with(options, option, read)
            if read is not None:
                del left[name]
                read_options.add(option)
    return Merged(replace(wish, options=options), left, frozenset(read_options))


def _with(options: Options, name: str, value: int | str | PixelSize | None) -> Options:
    changes: dict[str, int | str | PixelSize | None] = {name: value}
    return replace(options, **changes)  # type: ignore[arg-type]  # the name decides the type, and _as_option obeys it


def _as_option(option: str, value: JsonValue) -> int | str | PixelSize | None:
    """Read a param as an option; None = it says what no option can say ("auto"), so the provider gets it as it is."""
    if option in _WHOLE:
        return _whole_number(option, value)
    if not isinstance(value, str):
        raise ValueError(f"must be a string, as options.{option}")  # noqa: TRY004 - a caller's mistake, not ours
    return _size(value) if option == "size" else value


def _whole_number(option: str, value: JsonValue) -> int:
    least, most = _WHOLE[option]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, as options.{option}")  # noqa: TRY004 - as above
    if least is not None and value < least:
        raise ValueError(f"must be at least {least}, as options.{option}")
    if most is not None and value > most:
        raise ValueError(f"must be at most {most}, as options.{option}")
    return value


def _size(value: str) -> PixelSize | None:
    if not (match := _PIXELS.fullmatch(value)):
        return None
    size = PixelSize(int(match[1]), int(match[2]))
    if not (1 <= size.width <= MAX_SIDE and 1 <= size.height <= MAX_SIDE):
        raise ValueError(f"width and height must be 1 to {MAX_SIDE} pixels, as options.size")
    return size

"""The provider's own parameters: which of them are meant, and those that say what an option says."""

from dataclasses import replace

from imagegen_server.domain.errors import Violation
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Wish
from imagegen_server.providers.registry import ProviderEntry

_WHOLE = ("count", "seed", "compression", "preview_count")


def merge_params(
    wish: Wish, entry: ProviderEntry, wrong: list[Violation], noted: list[Warning]
) -> tuple[Wish, JsonObject]:
    """Pick the params meant for a provider, and read those that say what an option says as that option.

    Returns the wish with such options set, and the params that are left to be sent unmodified. Appends to `wrong` what
    the adapter must control itself or what cannot be read, and to `noted` what was said twice.
    """
    key = entry.name if entry.name in wish.params else entry.type_name
    given = wish.params.get(key, {})
    options, left = wish.options, dict(given)
    for name, value in given.items():
        path = f"params.{key}.{name}"
        if name in entry.provider.controlled_params:
            wrong.append(Violation(path, "is set by the server; use the request's own field"))
        elif option := entry.provider.param_options.get(name):
            del left[name]
            try:
                read = _as_option(option, value)
            except ValueError as problem:
                wrong.append(Violation(path, str(problem)))
                continue
            if getattr(options, option) is not None:
                message = f"{path} says {value!r}, and params win"
                noted.append(Warning(f"options.{option}", WarningReason.OVERRIDDEN_BY_PARAMS, message))
            options = _with(options, option, read)
    return replace(wish, options=options), left


def _with(options: Options, name: str, value: int | str | PixelSize) -> Options:
    changes: dict[str, int | str | PixelSize] = {name: value}
    return replace(options, **changes)  # type: ignore[arg-type]  # the name decides the type, and _as_option obeys it


def _as_option(option: str, value: JsonValue) -> int | str | PixelSize:
    if option in _WHOLE:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number, as options.{option}")
        if option != "seed" and value < (option == "count"):
            raise ValueError(f"must be at least {int(option == 'count')}, as options.{option}")
        return value
    if not isinstance(value, str):
        raise ValueError(f"must be a string, as options.{option}")  # noqa: TRY004 - a caller's mistake, not ours
    if option != "size":
        return value
    width, by, height = value.partition("x")
    if not (by and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError('must be a size in pixels such as "1024x768"')
    return PixelSize(int(width), int(height))

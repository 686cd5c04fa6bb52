"""What a caller may use."""

from fnmatch import fnmatchcase

from imagegen_server.domain.caller import Caller


def may_use(caller: Caller, asked: str, model: str) -> bool:
    """Tell whether a caller may use a model.

    `asked` is the name in the request, which may be an alias, `model` is what it means, "provider/model". Either of the
    two may be what the operator has allowed.
    """
    if caller.models is None:
        return True
    return any(fnmatchcase(name, pattern) for pattern in caller.models for name in (asked, model))


def may_use_provider(caller: Caller, provider: str) -> bool:
    """Tell whether a caller may use any model of a provider. An alias may mean any."""
    if caller.models is None:
        return True
    return any("/" not in pattern or fnmatchcase(provider, pattern.partition("/")[0]) for pattern in caller.models)

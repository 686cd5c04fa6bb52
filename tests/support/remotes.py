"""Provider types that are reached by HTTP, for tests of their configuration; nothing is ever sent."""

from dataclasses import dataclass
from typing import Any

from imagegen_server.providers.base import ProviderType, Remote

from .provider import ScriptedProvider

KEY = "sk-Never-To-Be-Shown-0123456789"


@dataclass(frozen=True)
class Account:
    """The keys of a provider's own."""

    account: str = ""


@dataclass(frozen=True)
class Nothing:
    """No keys of its own."""


def remote_type(name: str, remote: Remote[Any] | None) -> ProviderType[Any]:
    """Make a type of providers."""
    return ProviderType(
        name, Account if remote else Nothing, lambda _name, _settings: ScriptedProvider(), remote=remote
    )


def _account_of(settings: Account) -> str:
    if not settings.account:
        raise ValueError("account: is required")
    return settings.account


REMOTES = {
    kind.name: kind
    for kind in (
        remote_type("far", Remote("https://far.example/v1", "FAR_API_KEY")),
        remote_type("house", Remote(key_required=False)),
        remote_type("vault", Remote("https://vault.example")),
        remote_type("local", None),
        remote_type("peer", Remote(http=False, key_required=False, base_url_of=_account_of)),
    )
}
"""far: as most vendors; house: no key and no usual address; vault: no usual variable for its key; local: no HTTP;
peer: reached by itself, at its account."""

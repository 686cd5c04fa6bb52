"""Which models a name means, and whether the caller may use them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.task import Wish
from imagegen_server.providers.registry import ProviderEntry, Registry

from .callers import may_use

_LONGEST_NAME = 512


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that a request names, by itself or through an alias, and the field that names it."""

    field: str
    entry: ProviderEntry
    model: Model

    @property
    def name(self) -> str:
        """In full: provider/model."""
        return f"{self.entry.name}/{self.model.id}"


class ModelNames:
    """Knows the providers, and the aliases of the configuration."""

    def __init__(self, registry: Registry, aliases: Mapping[str, Sequence[str]]) -> None:
        """Take the aliases: each of one or more "provider/model", in order."""
        self._registry = registry
        self._aliases = aliases

    def resolve(self, name: str) -> list[tuple[ProviderEntry, Model]]:
        """Find the providers and models that a name or an alias means, the first to be tried first.

        :raises ImageError: MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED
        """
        if len(name.encode()) > _LONGEST_NAME:
            raise ImageError(Reason.MODEL_NOT_FOUND, f"no model's name is longer than {_LONGEST_NAME} bytes")
        return [self._find(full, name) for full in ([name] if "/" in name else self._aliases.get(name, [""]))]

    def _find(self, full: str, name: str) -> tuple[ProviderEntry, Model]:
        provider_name, _, model_id = full.partition("/")
        if not model_id:
            known = ", ".join(sorted(self._aliases)) or "none"
            raise ImageError(
                Reason.MODEL_NOT_FOUND,
                f"model {name!r} is no alias of this server (aliases: {known}); write provider/model",
                metadata={"model": name},
            )
        entry = self._registry.entries.get(provider_name)
        if entry is None:
            known = ", ".join(self._registry.entries) or "none"
            raise ImageError(
                Reason.PROVIDER_NOT_CONFIGURED,
                f"provider {provider_name!r} is not configured on this server (configured: {known})",
                metadata={"model": full},
            )
        return entry, entry.provider.model(model_id)

    def aliases_of(self, full_name: str) -> list[str]:
        """List the aliases that try "provider/model" first."""
        return [alias for alias, targets in self._aliases.items() if targets[0] == full_name]

    def choose(self, wish: Wish, caller: Caller, wrong: list[Violation]) -> list[Choice]:
        """Find all models that the request names, each once. Appends to `wrong` the names that mean none.

        :raises ImageError: as `resolve`, if nothing else is wrong; CALLER_NOT_ALLOWED
        """
        choices = self._first_choices(wish, caller, wrong)
        asked = dict.fromkeys((choice.name for choice in choices), wish.model)
        for choice, name in self._fallbacks(wish, wrong):
            if choice.name not in asked:
                asked[choice.name] = name
                choices.append(choice)
        for choice in choices:
            if not may_use(caller, asked[choice.name], choice.name):
                raise _not_allowed(caller, asked[choice.name])
        return choices

    def _first_choices(self, wish: Wish, caller: Caller, wrong: list[Violation]) -> list[Choice]:
        try:
            return [Choice("model", *found) for found in self.resolve(wish.model)]
        except ImageError as error:
            if not may_use(caller, wish.model, wish.model):
                # Nor may it hear what else there is.
                raise _not_allowed(caller, wish.model) from None
            if not wrong:
                raise
            if all(violation.field != "model" for violation in wrong):
                wrong.append(Violation("model", error.message))
            raise invalid(wrong, wish.model) from None

    def _fallbacks(self, wish: Wish, wrong: list[Violation]) -> Iterator[tuple[Choice, str]]:
        """Find the models that the request names beside its own, each with the name that it was asked by."""
        for position, name in enumerate(wish.retry.fallback_models):
            field = f"retry.fallback_models[{position}]"
            try:
                found = self.resolve(name)
            except ImageError as error:
                wrong.append(Violation(field, error.message))
            else:
                yield from ((Choice(field, *one), name) for one in found)


def invalid(violations: Sequence[Violation], model: str) -> ImageError:
    """Make the error of a request with these violations, at least one."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return ImageError(
        Reason.INVALID_REQUEST,
        f"{first.field}: {first.description}{more}",
        violations=violations,
        metadata={"model": model} if model else {},
    )


def _not_allowed(caller: Caller, asked: str) -> ImageError:
    """Refuse a model by the name that was asked for: what an alias stands for is not the caller's business."""
    allowed = ", ".join(caller.models or ()) or "none"
    return ImageError(
        Reason.CALLER_NOT_ALLOWED,
        f"{caller.name} may not use {asked!r}; it may use {allowed}",
        metadata={"model": asked},
    )

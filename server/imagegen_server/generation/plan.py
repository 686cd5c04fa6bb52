"""Holding a wish against a model: what will be sent, what will not be done as asked, and all that is wrong with it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Task, Wish
from imagegen_server.providers.registry import ProviderEntry, Registry

from .fitting import fit, mask_effect, over_limits, require_operation
from .params import merge_params
from .prices import Price

_LONGEST_NAME = 512
_MASKS_AT_ONCE = 2
"""Masks that are decoded at the same time: each may take hundreds of megabytes."""

_SEEDS = 2**64
_LOWEST_SEED = -(2**63)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done: the task of the whole generation, and the provider requests that it fans out into."""

    entry: ProviderEntry
    model: str
    task: Task
    batches: tuple[tuple[int, Task], ...]
    """Index of the first image, and the task of the request."""
    warnings: tuple[Warning, ...]
    price: Price | None = None


class Planner:
    """Turns wishes into plans. Spends nothing."""

    def __init__(
        self, registry: Registry, aliases: Mapping[str, str], prices: Mapping[str, Price] | None = None
    ) -> None:
        """Know the providers, the aliases (name to "provider/model") and the prices (by "provider/model")."""
        self._registry = registry
        self._aliases = aliases
        self._prices = prices or {}
        self._decoding = asyncio.Semaphore(_MASKS_AT_ONCE)

    def resolve(self, name: str) -> tuple[ProviderEntry, Model]:
        """Find the provider and the model that a name or an alias means.

        :raises ImageError: MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED
        """
        if len(name.encode()) > _LONGEST_NAME:
            raise ImageError(Reason.MODEL_NOT_FOUND, f"no model's name is longer than {_LONGEST_NAME} bytes")
        full = name if "/" in name else self._aliases.get(name, "")
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
        """List the aliases that mean "provider/model"."""
        return [alias for alias, target in self._aliases.items() if target == full_name]

    async def plan(self, wish: Wish, violations: Sequence[Violation] = (), warnings: Sequence[Warning] = ()) -> Plan:
        """Make a plan. `violations` and `warnings` are what reading the request has found already.

        :raises ImageError: INVALID_REQUEST with all that is wrong; or, if nothing else is, MODEL_NOT_FOUND,
            PROVIDER_NOT_CONFIGURED, OPERATION_NOT_SUPPORTED, OPTION_NOT_SUPPORTED
        """
        wrong = list(violations)
        wrong += [
            Violation(f"params.{key}", "names no provider of this server, neither by name nor by type")
            for key in wish.params
            if not self._registry.params_key_known(key)
        ]
        try:
            entry, model = self.resolve(wish.model)
        except ImageError as error:
            if not wrong:
                raise
            if all(violation.field != "model" for violation in wrong):
                wrong.append(Violation("model", error.message))
            raise _invalid(wrong, wish.model) from None
        name = f"{entry.name}/{model.id}"
        noted = list(warnings)
        merged = merge_params(wish, entry, wrong, noted)
        wish = merged.wish
        wrong += over_limits(wish, model.capabilities)
        if not wrong:
            require_operation(wish, entry, model)
        fitted = fit(merged, entry, model, noted)
        noted += await mask_effect(wish, wrong, self._decoding)
        task = _prepare(fitted, entry, wrong, noted)
        if wish.options.preview_count and task.preview_count < fitted.preview_count:
            why = f"{model.id} shows {task.preview_count or 'none'} with these options"
            noted.append(Warning("options.preview_count", WarningReason.IGNORED, why))
        if wrong:
            raise _invalid(wrong, name)
        if wish.strict and (refused := [note for note in noted if note.reason is not WarningReason.MODEL_RETIRING]):
            raise ImageError(
                Reason.OPTION_NOT_SUPPORTED,
                f"strict is set and {name} would not do as asked: " + "; ".join(note.field for note in refused),
                violations=[Violation(note.field, note.message) for note in refused],
                metadata={"provider": entry.name, "model": name},
            )
        return Plan(entry, name, task, _fan_out(task, entry), tuple(noted), self._prices.get(name))


def _prepare(task: Task, entry: ProviderEntry, wrong: list[Violation], noted: list[Warning]) -> Task:
    """Let the adapter hold the task against what its vendor takes. Appends to `wrong` and to `noted`.

    :raises ImageError: the adapter refuses the task for another reason than INVALID_REQUEST, and nothing else is wrong
    """
    try:
        prepared, more = entry.provider.prepare(task)
    except ImageError as error:
        if error.reason is Reason.INVALID_REQUEST:
            known = [violation.field for violation in wrong]
            found = error.violations or [Violation("model", error.message)]
            # What could not even be read looks odd to an adapter too, and has been told.
            wrong += [violation for violation in found if not any(_within(field, violation.field) for field in known)]
        elif not wrong:
            error.metadata = {"provider": entry.name, "model": f"{entry.name}/{task.model}"} | error.metadata
            raise
    except Exception:
        # A wish that is wrong already may be more than an adapter is made for.
        if not wrong:
            raise
    else:
        noted += more
        return prepared
    return task


def _within(field: str, other: str) -> bool:
    """Tell whether a field is another one, or a part of it."""
    return field == other or field.startswith((f"{other}.", f"{other}["))


def _invalid(violations: Sequence[Violation], model: str) -> ImageError:
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return ImageError(
        Reason.INVALID_REQUEST,
        f"{first.field}: {first.description}{more}",
        violations=violations,
        metadata={"model": model} if model else {},
    )


def _fan_out(task: Task, entry: ProviderEntry) -> tuple[tuple[int, Task], ...]:
    """Split a task into provider requests, each with the index of its first image."""
    most = entry.provider.images_per_request(task)
    if task.count <= most:
        return ((0, task),)
    return tuple(
        (
            first,
            replace(task, options=replace(task.options, count=min(most, task.count - first), seed=_seed(task, first))),
        )
        for first in range(0, task.count, most)
    )


def _seed(task: Task, first: int) -> int | None:
    """Move the seed along with the index: the same seed in every request would buy the same picture again."""
    if task.options.seed is None:
        return None
    return (task.options.seed + first - _LOWEST_SEED) % _SEEDS + _LOWEST_SEED

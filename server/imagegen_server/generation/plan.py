"""Holding a wish against a model: what will be sent, what will not be done as asked, and all that is wrong with it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from imagegen_server.domain.caller import ANONYMOUS, Caller
from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import RetryWish, Task, Wish
from imagegen_server.providers.base import SelfConnected
from imagegen_server.providers.registry import ProviderEntry, Registry

from .catalogue import Catalogue
from .fitting import fit, mask_effect, over_limits, require_operation
from .names import Choice, ModelNames, invalid
from .params import merge_params
from .prices import Price

_MASKS_AT_ONCE = 2
"""Masks that are decoded at the same time: each may take hundreds of megabytes."""

LOOK_UP_SECONDS = 2.0
"""How long a wish waits to hear what a model can do."""

_SEEDS = 2**64
_LOWEST_SEED = -(2**63)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that can do a wish: the task of the whole generation, and the provider requests that it fans out into."""

    entry: ProviderEntry
    model: str
    """"provider/model"."""
    task: Task
    batches: tuple[tuple[int, Task], ...]
    """Index of the first image, and the task of the request."""
    warnings: tuple[Warning, ...]
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The models that are tried, in this order, and what the caller allows to be done again or elsewhere."""

    candidates: tuple[Candidate, ...]
    retry: RetryWish = field(default_factory=RetryWish)

    @property
    def first(self) -> Candidate:
        """The model that is tried first."""
        return self.candidates[0]


class Planner:
    """Turns wishes into plans. Spends nothing."""

    def __init__(
        self,
        registry: Registry,
        aliases: Mapping[str, Sequence[str]],
        prices: Mapping[str, Price] | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        """Know the providers, the aliases (each of one or more "provider/model", in order) and prices by model.

        `catalogue` is asked for models that a provider knows only by asking; None = nobody is asked.
        """
        self.names = ModelNames(registry, aliases)
        self._registry = registry
        self._prices = prices or {}
        self._catalogue = catalogue
        self._decoding = asyncio.Semaphore(_MASKS_AT_ONCE)

    async def plan(
        self,
        wish: Wish,
        violations: Sequence[Violation] = (),
        warnings: Sequence[Warning] = (),
        caller: Caller = ANONYMOUS,
    ) -> Plan:
        """Make a plan. `violations` and `warnings` are what reading the request has found already.

        A model that cannot do the wish is left out, with a warning, as long as another one can.

        :raises ImageError: INVALID_REQUEST with all that is wrong; or, if nothing else is, MODEL_NOT_FOUND,
            PROVIDER_NOT_CONFIGURED, CALLER_NOT_ALLOWED, OPERATION_NOT_SUPPORTED, OPTION_NOT_SUPPORTED
        """
        wrong = list(violations)
        wrong += [
            Violation(f"params.{key}", "names no provider of this server, neither by name nor by type")
            for key in wish.params
            if not self._registry.params_key_known(key)
        ]
        choices = self.names.choose(wish, caller, wrong)
        if not wrong:
            choices = [await self._looked_up(choice) for choice in choices]
        mask_checks = _MaskCheck(wish, self._decoding)
        found: list[Candidate] = []
        refused: list[tuple[Choice, ImageError]] = []
        for choice in choices:
            try:
                found.append(await self._candidate(choice, wish, wrong, warnings, mask_checks))
            except ImageError as error:
                refused.append((choice, error.with_traceback(None)))  # its frames hold the images
        if not found:
            try:
                raise refused[0][1]
            finally:
                del refused
        left_out = tuple(
            Warning(choice.field, WarningReason.IGNORED, f"{choice.name} is left out: {error.message}")
            for choice, error in refused
        )
        if left_out:
            found = [replace(candidate, warnings=candidate.warnings + left_out) for candidate in found]
        return Plan(tuple(found), wish.retry)

    async def _looked_up(self, choice: Choice) -> Choice:
        """Ask what a model can do where only its provider's vendor knows. Without an answer its provider will tell."""
        if self._catalogue is None or not isinstance(choice.entry.provider, SelfConnected):
            return choice
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                return replace(choice, model=await self._catalogue.model(choice.entry, choice.model.id))
        except (ImageError, TimeoutError):
            return choice

    async def _candidate(
        self,
        choice: Choice,
        wish: Wish,
        violations: Sequence[Violation],
        warnings: Sequence[Warning],
        mask_check: "_MaskCheck",
    ) -> Candidate:
        """Hold the wish against one model.

        :raises ImageError: as `plan`
        """
        entry, model, name = choice.entry, choice.model, choice.name
        wrong, noted = list(violations), list(warnings)
        merged = merge_params(wish, entry, wrong, noted)
        wish = merged.wish
        wrong += over_limits(wish, model.capabilities)
        if not wrong:
            require_operation(wish, entry, model)
        fitted = fit(merged, entry, model, noted)
        noted += await mask_check.warnings(wrong)
        task = _prepare(fitted, entry, wrong, noted)
        if wish.options.preview_count and task.preview_count < fitted.preview_count:
            why = f"{model.id} shows {task.preview_count or 'none'} with these options"
            noted.append(Warning("options.preview_count", WarningReason.IGNORED, why))
        if wrong:
            raise invalid(wrong, name)
        if wish.strict and (refused := [note for note in noted if note.reason is not WarningReason.MODEL_RETIRING]):
            raise ImageError(
                Reason.OPTION_NOT_SUPPORTED,
                f"strict is set and {name} would not do as asked: " + "; ".join(note.field for note in refused),
                violations=[Violation(note.field, note.message) for note in refused],
                metadata={"provider": entry.name, "model": name},
            )
        return Candidate(entry, name, task, _fan_out(task, entry), tuple(noted), self._prices.get(name))


class _MaskCheck:
    """What a mask does, found out once however many models are held against the wish."""

    def __init__(self, wish: Wish, decoding: asyncio.Semaphore) -> None:
        self._wish = wish
        self._decoding = decoding
        self._found: tuple[list[Violation], list[Warning]] | None = None

    async def warnings(self, wrong: list[Violation]) -> list[Warning]:
        """Warn of a mask without effect. Appends to `wrong` if it cannot be read."""
        if self._wish.mask is None or any(violation.field.startswith("input.mask") for violation in wrong):
            return []
        if self._found is None:
            unreadable: list[Violation] = []
            noted = await mask_effect(self._wish.mask, unreadable, self._decoding)
            self._found = unreadable, noted
        wrong += self._found[0]
        return self._found[1]


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

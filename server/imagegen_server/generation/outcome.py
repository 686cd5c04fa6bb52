"""What a generation says at its end."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import Attempt, Cost, GenerationFailure, ImageResult, Usage, Warning

from .batch import Batch
from .generation import Generation
from .plan import Candidate
from .prices import Price


def conclude(
    generation: Generation, candidate: Candidate, batches: Sequence[Batch], before: Sequence[Attempt] = ()
) -> Finished | Broken:
    """Sum up: a result if there is at least one image, else the failure of the whole call.

    `before` are the attempts with the models that were tried before the candidate.
    """
    images = sorted((image for batch in batches for image in batch.images), key=lambda image: image.index)
    failures = sorted((failure for batch in batches for failure in batch.failures), key=lambda failure: failure.index)
    own = (attempt for batch in batches for attempt in batch.attempts)
    attempts = tuple(sorted((*before, *own), key=lambda attempt: attempt.start_time))
    usage = None if any(attempt.billed is not Billed.NO for attempt in before) else _total_usage(candidate, batches)
    if images:
        return Finished(
            ImageResult(
                generation_id=generation.id,
                request_id=generation.request_id,
                model=_model(candidate, batches),
                images=tuple(images),
                failures=tuple(failures),
                usage=usage,
                warnings=_warnings(candidate, batches),
                attempts=attempts,
                metadata=_metadata(candidate, batches),
            )
        )
    failure = GenerationFailure(generation.id, generation.request_id, tuple(failures), attempts, usage)
    return Broken(failure, _overall_error([item.error for item in failures], attempts))


def _model(candidate: Candidate, batches: Sequence[Batch]) -> str:
    """Name the model that made the images; if several did, that which stands for them."""
    told = {batch.report.model for batch in batches if batch.images}
    made_by = told.pop() if len(told) == 1 else ""
    return f"{candidate.entry.name}/{made_by}" if made_by else candidate.model


def _warnings(candidate: Candidate, batches: Sequence[Batch]) -> tuple[Warning, ...]:
    """Put what providers have noticed behind what was known before, each once."""
    return tuple(dict.fromkeys((*candidate.warnings, *(one for batch in batches for one in batch.report.warnings))))


def _overall_error(errors: Sequence[ImageError], attempts: Sequence[Attempt]) -> ImageError:
    """Choose the call's error: the first of those that may have cost most. It is billed as far as any attempt is.

    A free failure must not speak for one that was paid for: its code might say that all can be done again.
    """
    worst = max(errors, key=lambda error: error.billed.value)
    return worst.with_billed(Billed(max(worst.billed.value, *(attempt.billed.value for attempt in attempts), 0)))


def _metadata(candidate: Candidate, batches: Sequence[Batch]) -> dict[str, JsonObject]:
    said = [dict(batch.report.metadata) for batch in batches if batch.report.metadata]
    if not said:
        return {}
    return {candidate.entry.name: said[0] if len(batches) == 1 else {"requests": list(said)}}


def _usage(batch: Batch, price: Price | None) -> Usage | None:
    """What one request told, with a cost estimated from the operator's prices where it told none."""
    usage = batch.report.usage
    if price is None or (usage is not None and usage.cost is not None) or not (usage or batch.images):
        return usage
    if price.image is not None and _more_were_paid_for(batch):
        return usage
    cost = price.estimate(usage, len(batch.images))
    return replace(usage or Usage(), cost=cost) if cost else usage


def _more_were_paid_for(batch: Batch) -> bool:
    """Tell whether pictures may have been paid for that are not among those that came."""
    usage = batch.report.usage
    made = usage.images_generated if usage else None
    return (made or 0) > len(batch.images) or any(failure.error.billed is not Billed.NO for failure in batch.failures)


def _total_usage(candidate: Candidate, batches: Sequence[Batch]) -> Usage | None:
    """Add up what every request told; what one of them left unsaid is unknown. Only the last try of each tells."""
    usages = [_usage(batch, candidate.price) for batch in batches]
    told = [usage for usage in usages if usage is not None]
    silent_but_billed = any(
        batch.paid_before is not Billed.NO
        or (usage is None and any(attempt.billed is not Billed.NO for attempt in batch.attempts))
        for usage, batch in zip(usages, batches, strict=True)
    )

    def total(count: Callable[[Usage], int | None]) -> int | None:
        counts = [count(usage) for usage in told]
        known = [number for number in counts if number is not None]
        return None if len(known) < len(counts) else sum(known)

    if not told or silent_but_billed:
        return None
    usage = Usage(
        images_generated=total(lambda usage: usage.images_generated),
        input_tokens=total(lambda usage: usage.input_tokens),
        output_tokens=total(lambda usage: usage.output_tokens),
        cost=_total_cost([usage.cost for usage in told]),
    )
    return None if usage == Usage() else usage


def _total_cost(costs: Sequence[Cost | None]) -> Cost | None:
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs) or len({cost.currency for cost in known}) != 1:
        return None
    return Cost(sum(cost.amount for cost in known), known[0].currency, any(cost.estimated for cost in known))

"""What the other server tells, as what a provider tells."""

import imagegen

from imagegen_server.domain.events import Complete, Failed, Phase, Preview, Progress, Report
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Cost, Usage, Warning, WarningReason

from .errors import attempt_of, error_of_one, our_field


def progress_of(told: imagegen.Progress, here: str) -> Progress:
    """Read news. A phase that is newer than we are is that the provider is at work."""
    return Progress(
        phase=Phase.__members__.get(told.phase.upper(), Phase.GENERATING),
        index=told.index,
        fraction=told.fraction,
        step=told.step,
        steps=told.steps,
        queue_position=told.queue_position,
        remaining=told.remaining,
        model=f"{here}/{told.model}" if told.model else "",
        message=told.message,
    )


def preview_of(told: imagegen.Preview) -> Preview:
    """Read a preview."""
    return Preview(told.index, told.image.bytes, _plain(told.metadata))


def complete_of(told: imagegen.GeneratedImage) -> Complete:
    """Read a finished picture."""
    return Complete(told.index, told.bytes, told.revised_prompt, told.seed, _plain(told.metadata))


def failed_of(told: imagegen.ImageFailure, here: str) -> Failed:
    """Read that a picture will not come."""
    return Failed(told.index, error_of_one(told, here))


def report_of(told: imagegen.ImageResult, here: str) -> Report:
    """Read what is said beside the pictures."""
    return Report(
        usage=_usage(told.usage),
        metadata=_plain(told.metadata),
        warnings=tuple(_warning(warning, here) for warning in told.warnings),
        attempts=tuple(attempt_of(attempt, here) for attempt in told.attempts),
        model=told.model,
    )


def report_of_failure(told: imagegen.ImageGenError, here: str) -> Report:
    """Read what a call has cost that came to nothing."""
    return Report(_usage(told.usage), attempts=tuple(attempt_of(attempt, here) for attempt in told.attempts))


def _plain(metadata: imagegen.Metadata) -> dict[str, JsonValue]:
    """Keep what the other server's providers said, under their names there."""
    return {name: dict(said) for name, said in metadata.items()}


def _usage(told: imagegen.ImageUsage | None) -> Usage | None:
    if told is None:
        return None
    cost = told.cost
    return Usage(
        told.images_generated,
        told.input_tokens,
        told.output_tokens,
        Cost(cost.amount, cost.currency, cost.estimated) if cost else None,
    )


def _warning(told: imagegen.ImageWarning, here: str) -> Warning:
    """Read a warning; one of a kind that is newer than we are says that something was not done."""
    reason = WarningReason.__members__.get(told.reason, WarningReason.IGNORED)
    return Warning(our_field(told.field, here), reason, told.message)

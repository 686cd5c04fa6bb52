"""What was done and spent for a generation, in plain values for logs and files: no prompt, param, key or byte."""

from collections.abc import Sequence

from imagegen_server.domain.errors import Failure
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Attempt, Usage


def attempts_account(attempts: Sequence[Attempt]) -> list[JsonValue]:
    """Tell of each attempt how far it came, why it failed, and whether it was paid for; what is unknown is left out."""
    return [_attempt(attempt) for attempt in attempts]


def failures_account(failures: Sequence[Failure]) -> list[JsonValue]:
    """Tell of each image that did not come why, and whether it was paid for."""
    return [
        {"index": failure.index, "reason": failure.error.reason.name, "billed": failure.error.billed.name.lower()}
        for failure in failures
    ]


def cost_account(usage: Usage | None) -> dict[str, JsonValue] | None:
    """Tell what was spent; None = unknown."""
    if usage is None or usage.cost is None:
        return None
    return {"amount": usage.cost.amount, "currency": usage.cost.currency, "estimated": usage.cost.estimated}


def _attempt(attempt: Attempt) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "provider": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome.name.lower(),
        "billed": attempt.billed.name.lower(),
        "seconds": round(attempt.duration, 4),
    }
    if attempt.reason is not None:
        told["reason"] = attempt.reason.name
    if attempt.http_status is not None:
        told["http_status"] = attempt.http_status
    return told

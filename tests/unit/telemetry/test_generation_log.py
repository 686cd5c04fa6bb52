"""The log line of a generation."""

import json

import structlog
from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason
from imagegen_server.domain.result import AttemptOutcome, Cost, Usage
from imagegen_server.domain.task import Operation
from imagegen_server.generation.middleware import Chain, Context
from imagegen_server.telemetry.generation_log import MIDDLEWARE, GenerationLogSettings

from tests.support.middleware import attempt, broken, context_of, finished, generated, wish


def chain() -> Chain:
    """Make the log as the configuration does."""
    return Chain([MIDDLEWARE.build("log", GenerationLogSettings())])


async def test_a_generation_with_images_is_one_line() -> None:
    """Who asked whom for what, and what came of it and what it cost."""
    context = context_of(wish(operation=Operation.EDIT), model="test/any")
    outcome = finished(
        generated(0, b"four"),
        generated(1, b"seven.."),
        failures=(Failure(2, ImageError(Reason.CONTENT_FILTERED, "no")),),
        attempts=(
            attempt(outcome=AttemptOutcome.REJECTED, billed=Billed.NO, reason=Reason.RATE_LIMITED, http_status=429),
            attempt(),
        ),
        usage=Usage(cost=Cost(0.04, "USD", estimated=True)),
    )

    with structlog.testing.capture_logs() as logs:
        await chain().start(context)
        await chain().end(context, outcome, aborted=True)

    (line,) = logs
    assert 0 <= line.pop("seconds") < 60
    assert line == {
        "event": "generation",
        "log_level": "info",
        "generation_id": "gen_abcdefgh_one",
        "request_id": "order 7",
        "caller": "shop",
        "model": "test/any",
        "operation": "edit",
        "streaming": True,
        "images": 2,
        "failures": 1,
        "image_bytes": 11,
        "attempts": [
            {
                "provider": "test",
                "model": "test/any",
                "outcome": "rejected",
                "billed": "no",
                "seconds": 1.5,
                "reason": "RATE_LIMITED",
                "http_status": 429,
            },
            {"provider": "test", "model": "test/any", "outcome": "accepted", "billed": "yes", "seconds": 1.5},
        ],
        "aborted": True,
        "cost": {"amount": 0.04, "currency": "USD", "estimated": True},
    }


async def test_a_generation_without_images_says_why() -> None:
    """Reason and bill, whether it failed or was cancelled; an unknown cost is not there."""
    with structlog.testing.capture_logs() as logs:
        await chain().end(context_of(), broken(Reason.TIMEOUT), aborted=False)
        await chain().end(context_of(), broken(Reason.CANCELLED), aborted=True)

    assert [(line["reason"], line["billed"], line["images"], line["aborted"]) for line in logs] == [
        ("TIMEOUT", "unknown", 0, False),
        ("CANCELLED", "unknown", 0, True),
    ]
    assert [[one["reason"] for one in line["attempts"]] for line in logs] == [["TIMEOUT"], ["CANCELLED"]]
    assert all("cost" not in line for line in logs)


async def test_a_refused_call_is_a_line_too() -> None:
    """Refused before anything was spent, or left before it was planned."""
    with structlog.testing.capture_logs() as logs:
        await chain().refuse(context_of(), ImageError(Reason.MODEL_NOT_FOUND, "no such model"))
        await chain().refuse(context_of(), ImageError(Reason.CANCELLED, "left"), aborted=True)

    assert [(line.get("reason"), line.get("billed"), line["attempts"], line["aborted"]) for line in logs] == [
        ("MODEL_NOT_FOUND", "no", [], False),
        (None, None, [], True),
    ]


async def test_the_line_has_no_prompt_param_key_or_byte() -> None:
    """Nothing of what was asked and made but sizes and names, those cut short; and all of it is JSON."""
    secret = "secret"
    context: Context = context_of(
        wish(prompt=secret, params={"test": {"style": secret}}),
        model="m" * 5000,
        request_id="r" * 5000,
        caller="c" * 5000,
    )
    outcome = finished(
        generated(0, b"secret", revised_prompt=secret, metadata={"test": {"said": secret}}),
        failures=(Failure(1, ImageError(Reason.PROVIDER_ERROR, secret)),),
        attempts=(attempt(provider_request_id=secret),),
        metadata={"test": {"said": secret}},
    )

    with structlog.testing.capture_logs() as logs:
        await chain().end(context, outcome, aborted=False)
        await chain().end(context_of(wish(prompt=secret)), broken(failures=outcome.result.failures), aborted=False)

    assert len(logs) == 2
    assert "secret" not in json.dumps(logs)
    assert len(json.dumps(logs)) < 3000


def test_it_is_there_by_default() -> None:
    """Without a table of its own."""
    assert (MIDDLEWARE.name, MIDDLEWARE.by_default) == ("log", True)

"""The middleware that writes one log line for each generation: who asked whom for what, and what came of it."""

from dataclasses import dataclass

import structlog

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.result import GenerationFailure, ImageResult
from imagegen_server.generation.account import attempts_account, cost_account
from imagegen_server.generation.middleware import Context, Middleware
from imagegen_server.generation.middleware_types import MiddlewareType

_LONGEST_FACT = 200
"""Characters of what a caller wrote: it may be long."""

_logger = structlog.get_logger("imagegen.generation")


@dataclass(frozen=True, slots=True)
class GenerationLogSettings:
    """It has no keys of its own."""


class GenerationLog(Middleware):
    """Writes the line "generation" when a generation ends or is refused: no prompt, param, key or image byte."""

    never_waits = True

    async def on_end(self, context: Context) -> None:
        """Tell of the images."""
        _write(context, context.response, None)

    async def on_error(self, context: Context, error: ImageError) -> None:
        """Tell why there is none."""
        _write(context, context.failure.failure if context.failure else None, error)

    async def on_abort(self, context: Context) -> None:
        """Tell that it was cancelled before there was one."""
        failure = context.failure
        _write(context, failure.failure if failure else None, failure.error if failure else None)


def _write(context: Context, ended: ImageResult | GenerationFailure | None, error: ImageError | None) -> None:
    if context.dry_run:
        return  # there was no generation
    images = ended.images if isinstance(ended, ImageResult) else ()
    facts: dict[str, object] = {
        "generation_id": context.generation_id,
        "request_id": context.request_id[:_LONGEST_FACT],
        "caller": context.caller[:_LONGEST_FACT],
        "model": context.model[:_LONGEST_FACT],
        "operation": context.operation.value,
        "streaming": context.streaming,
        "images": len(images),
        "failures": len(ended.failures) if ended else 0,
        "image_bytes": sum(image.image.size_bytes for image in images),
        "attempts": attempts_account(ended.attempts) if ended else [],
        "aborted": context.aborted,
    }
    if context.end_time is not None:
        facts["seconds"] = round((context.end_time - context.start_time).total_seconds(), 4)
    if cost := cost_account(ended.usage if ended else None):
        facts["cost"] = cost
    if error is not None:
        facts |= {"reason": error.reason.name, "billed": error.billed.name.lower()}
    _logger.info("generation", **facts)


MIDDLEWARE = MiddlewareType(
    name="log", settings=GenerationLogSettings, build=lambda name, _: GenerationLog(name), by_default=True
)

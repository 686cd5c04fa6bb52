"""From the domain's values to protobuf messages.

Much of what is written here was said by a provider. What a field of ours cannot hold is left out or written as text:
an odd number in a provider's answer must not cost a caller the images that were paid for.
"""

import math
from collections.abc import Iterable, Mapping

from google.protobuf import struct_pb2
from imagegen.v1 import error_reason_pb2, image_pb2, image_stream_pb2, model_service_pb2

from imagegen_server.domain.capabilities import Capabilities, Model
from imagegen_server.domain.errors import Failure, ImageError
from imagegen_server.domain.events import PreviewShown, Progress, Started
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import (
    Attempt,
    Cost,
    GeneratedImage,
    GenerationFailure,
    ImageResult,
    StoredImage,
    Usage,
    Warning,
)

_NANOS = 1_000_000_000
_LONGEST_SECONDS = 315_576_000_000.0
"""Of a google.protobuf.Duration."""

_METADATA_KEYS = (
    "provider",
    "model",
    "stage",
    "billed",
    "http_status",
    "provider_code",
    "provider_request_id",
    "generation_id",
    "request_id",
)
MAX_METADATA_BYTES = 200
MAX_MESSAGE_BYTES = 1000
"""Of an error, for people; what providers say beyond that is noise."""


def result_message(result: ImageResult, data: Mapping[str, bytes] | None = None) -> image_pb2.ImageResult:
    """Write a result. `data` holds image bytes by image id, for those that travel inline."""
    message = image_pb2.ImageResult(
        generation_id=result.generation_id,
        request_id=result.request_id,
        model=result.model,
        images=[generated_message(image) for image in result.images],
        failures=[failure_message(failure, result.generation_id, result.request_id) for failure in result.failures],
        usage=_usage(result.usage) if result.usage else None,
        warnings=warning_messages(result.warnings),
        attempts=[_attempt(attempt) for attempt in result.attempts],
        metadata=_structs(result.metadata),
    )
    if data:
        # Into its place at last: a message that is put into another one is copied with all its bytes.
        for generated in message.images:
            generated.image.data = data.get(generated.image.image_id, b"")
    return message


def generation_failure_message(failure: GenerationFailure) -> image_pb2.GenerationFailure:
    """Write what came of a generation without images."""
    return image_pb2.GenerationFailure(
        generation_id=failure.generation_id,
        request_id=failure.request_id,
        failures=[failure_message(item, failure.generation_id, failure.request_id) for item in failure.failures],
        attempts=[_attempt(attempt) for attempt in failure.attempts],
        usage=_usage(failure.usage) if failure.usage else None,
    )


def image_message(image: StoredImage) -> image_pb2.Image:
    """Write a finished image's facts."""
    message = image_pb2.Image(
        image_id=image.image_id,
        media_type=image.facts.media_type,
        width=image.facts.width,
        height=image.facts.height,
        size_bytes=image.size_bytes,
        sha256=image.sha256,
    )
    message.expire_time.FromDatetime(image.expire_time)
    return message


def generated_message(generated: GeneratedImage) -> image_pb2.GeneratedImage:
    """Write a finished image, without its bytes."""
    return image_pb2.GeneratedImage(
        index=generated.index,
        image=image_message(generated.image),
        revised_prompt=None if generated.revised_prompt is None else text(generated.revised_prompt),
        seed=_if_it_fits(generated.seed, -(2**63), 2**63),
        metadata=_structs(generated.metadata),
    )


def failure_message(failure: Failure, generation_id: str, request_id: str) -> image_pb2.ImageFailure:
    """Write one image that will not come."""
    error = failure.error
    return image_pb2.ImageFailure(
        index=failure.index,
        reason=error_reason_pb2.ErrorReason.ValueType(error.reason.value),
        message=text(error.message, MAX_MESSAGE_BYTES),
        billed=image_pb2.Billed.ValueType(error.billed.value),
        metadata=error_metadata(error, generation_id, request_id),
    )


def error_metadata(error: ImageError, generation_id: str = "", request_id: str = "") -> dict[str, str]:
    """Write what is known of an error: the keys of the contract, each value short enough to travel in a header."""
    facts = {"generation_id": generation_id, "request_id": request_id} | error.facts()
    return {key: text(facts[key], MAX_METADATA_BYTES) for key in _METADATA_KEYS if facts.get(key)}


def text(value: str, most_bytes: int | None = None) -> str:
    """Make text that protobuf takes, of so many bytes at most: half a surrogate pair becomes a question mark."""
    return value.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


def started_message(started: Started) -> image_stream_pb2.GenerationStarted:
    """Write the first event."""
    return image_stream_pb2.GenerationStarted(
        generation_id=started.generation_id,
        request_id=started.request_id,
        model=started.model,
        warnings=warning_messages(started.warnings),
    )


def progress_message(progress: Progress, elapsed: float) -> image_stream_pb2.Progress:
    """Write where a generation stands, `elapsed` seconds after its start."""
    message = image_stream_pb2.Progress(
        phase=image_stream_pb2.Phase.ValueType(progress.phase.value),
        index=_if_it_fits(progress.index),
        fraction=progress.fraction if progress.fraction is not None and 0 <= progress.fraction <= 1 else None,
        step=_if_it_fits(progress.step),
        steps=_if_it_fits(progress.steps),
        queue_position=_if_it_fits(progress.queue_position),
        model=text(progress.model),
        message=text(progress.message),
    )
    message.elapsed.FromNanoseconds(int(elapsed * _NANOS))
    if progress.remaining is not None and 0 <= progress.remaining <= _LONGEST_SECONDS:
        message.remaining.FromNanoseconds(int(progress.remaining * _NANOS))
    return message


def preview_message(preview: PreviewShown) -> image_stream_pb2.ImagePreview:
    """Write the opening of a preview."""
    return image_stream_pb2.ImagePreview(
        index=preview.index,
        number=preview.number,
        image=image_pb2.Image(
            media_type=preview.facts.media_type,
            width=preview.facts.width,
            height=preview.facts.height,
            size_bytes=len(preview.data),
        ),
        metadata=_structs(preview.metadata),
    )


def model_message(model: Model, provider: str, aliases: Iterable[str], max_count: int) -> model_service_pb2.Model:
    """Write a model of the provider with that configured name."""
    message = model_service_pb2.Model(
        name=f"{provider}/{model.id}",
        provider=provider,
        display_name=text(model.display_name),
        aliases=sorted(aliases),
        known=model.known,
        capabilities=_capabilities(model.capabilities, max_count),
    )
    if model.retire_time is not None:
        message.retire_time.FromDatetime(model.retire_time)
    return message


def _capabilities(capabilities: Capabilities, max_count: int) -> model_service_pb2.ModelCapabilities:
    return model_service_pb2.ModelCapabilities(
        generate=capabilities.generate,
        streaming=capabilities.streaming,
        edit=capabilities.edit,
        max_images=capabilities.max_images,
        max_count=capabilities.max_count or max_count,
        max_input_images=capabilities.max_input_images,
        mask=capabilities.mask,
        previews=model_service_pb2.PreviewSupport.ValueType(capabilities.previews.value),
        options=sorted(capabilities.options or ()),
        sizes=capabilities.sizes,
        aspect_ratios=capabilities.aspect_ratios,
        resolutions=capabilities.resolutions,
        qualities=capabilities.qualities,
        backgrounds=capabilities.backgrounds,
        formats=capabilities.formats,
    )


def warning_messages(warnings: Iterable[Warning]) -> list[image_pb2.Warning]:
    """Write what is not done as asked."""
    return [
        image_pb2.Warning(
            field=warning.field,
            reason=image_pb2.WarningReason.ValueType(warning.reason.value),
            message=text(warning.message),
        )
        for warning in warnings
    ]


def _attempt(attempt: Attempt) -> image_pb2.Attempt:
    message = image_pb2.Attempt(
        provider=text(attempt.provider),
        model=text(attempt.model),
        outcome=image_pb2.AttemptOutcome.ValueType(attempt.outcome.value),
        billed=image_pb2.Billed.ValueType(attempt.billed.value),
        reason=error_reason_pb2.ErrorReason.ValueType(attempt.reason.value if attempt.reason else 0),
        http_status=_if_it_fits(attempt.http_status),
        provider_request_id=text(attempt.provider_request_id, MAX_METADATA_BYTES),
    )
    message.start_time.FromDatetime(attempt.start_time)
    message.duration.FromNanoseconds(int(attempt.duration * _NANOS))
    return message


def _usage(usage: Usage) -> image_pb2.ImageUsage:
    return image_pb2.ImageUsage(
        images_generated=_if_it_fits(usage.images_generated),
        input_tokens=_if_it_fits(usage.input_tokens),
        output_tokens=_if_it_fits(usage.output_tokens),
        cost=cost_message(usage.cost) if usage.cost else None,
    )


def cost_message(cost: Cost) -> image_pb2.Cost:
    """Write an amount of money."""
    return image_pb2.Cost(amount=cost.amount, currency=text(cost.currency), estimated=cost.estimated)


def _if_it_fits(value: int | None, least: int = 0, end: int = 2**32) -> int | None:
    """Leave out what the field cannot hold."""
    return value if isinstance(value, int) and least <= value < end else None


def _structs(metadata: Mapping[str, JsonObject]) -> dict[str, struct_pb2.Struct]:
    return {name: _struct(value) for name, value in metadata.items()}


def _struct(value: JsonObject) -> struct_pb2.Struct:
    return struct_pb2.Struct(fields={text(key): _value(item) for key, item in value.items()})


def _value(value: JsonValue) -> struct_pb2.Value:
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return _number(value)
        case str():
            return struct_pb2.Value(string_value=text(value))
        case list():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_value(item) for item in value]))
        case dict():
            return struct_pb2.Value(struct_value=_struct(value))


def _number(value: float) -> struct_pb2.Value:
    """Write what no double of JSON can say as text."""
    try:
        if math.isfinite(value):
            return struct_pb2.Value(number_value=value)
    except OverflowError:
        pass
    return struct_pb2.Value(string_value=str(value))

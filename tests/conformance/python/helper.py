"""Steps done with the helper, by its public names only."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import imagegen
from conformance.v1 import driver_pb2
from google.protobuf.json_format import MessageToDict
from imagegen.v1 import error_reason_pb2, image_pb2, image_service_pb2, image_stream_pb2, model_service_pb2

from .measuring import measured

_PREFIX: Final = "ERROR_REASON_"
_TEXTS: Final = ("aspect_ratio", "resolution", "quality", "background", "format", "negative_prompt")
_NUMBERS: Final = ("count", "compression", "seed", "preview_count")


@asynccontextmanager
async def _client(step: driver_pb2.Step) -> AsyncIterator[imagegen.AsyncClient]:
    roots = Path(step.ca_file).read_bytes() if step.ca_file else None
    tls = grpc.ssl_channel_credentials(roots) if roots else False
    async with imagegen.AsyncClient(step.address, tls=tls, token=step.token or None) as client:
        yield client


async def do(step: driver_pb2.Step) -> driver_pb2.Outcome:
    """Do one step."""
    outcome = driver_pb2.Outcome()
    try:
        async with _client(step) as client:
            await _operate(client, step, outcome)
    except imagegen.ImageGenError as error:
        _tell_failure(error, outcome.failure)
    except (ValueError, TypeError) as error:
        outcome.refused = str(error)
    return outcome


async def _operate(client: imagegen.AsyncClient, step: driver_pb2.Step, outcome: driver_pb2.Outcome) -> None:
    match step.WhichOneof("operation"):
        case "generate" | "edit":
            _tell_result(await _wait(client, step), outcome)
        case "stream" | "stream_edit" | "resume":
            await _watch(_begin(client, step), step, outcome)
        case "list_models" | "get_model":
            await _list(client, step, outcome)
        case "cancel":
            outcome.stopped = await client.cancel(
                step.cancel.generation_id or None, request_id=step.cancel.request_id or None
            )
        case "read":
            image = await client.read_image(step.read.image_id, timeout=_limit(step))
            _tell_image(image, outcome.image)
            outcome.pictures.append(_picture(image, 0))
        case "upload_file":
            _tell_image(await client.upload(imagegen.Image.from_path(step.upload_file)), outcome.image)
        case "explain":
            await _explain(client, step, outcome)


async def _wait(client: imagegen.AsyncClient, step: driver_pb2.Step) -> imagegen.ImageResult:
    if step.HasField("generate"):
        wish = step.generate
        return await client.generate(wish.model, wish.input.prompt, **_settings(wish, step))
    change = step.edit
    return await client.edit(change.model, change.input.prompt, **_inputs(change), **_settings(change, step))


def _begin(client: imagegen.AsyncClient, step: driver_pb2.Step) -> imagegen.AsyncImageStream:
    match step.WhichOneof("operation"):
        case "stream":
            wish = step.stream
            return client.image(wish.model).stream(wish.input.prompt, **_settings(wish, step))
        case "stream_edit":
            change = step.stream_edit
            settings = {**_inputs(change), **_settings(change, step)}
            return client.stream_edit(change.model, change.input.prompt, **settings)
        case _:
            asked = step.resume
            return client.resume(
                asked.generation_id or None,
                request_id=asked.request_id or None,
                after_sequence=asked.after_sequence,
                delivery=_delivery(asked.delivery) or "inline",
                timeout=_limit(step),
            )


async def _list(client: imagegen.AsyncClient, step: driver_pb2.Step, outcome: driver_pb2.Outcome) -> None:
    if step.HasField("get_model"):
        _tell_model(await client.model(step.get_model.model), outcome.models.add())
        return
    models = client.models(step.list_models.provider or None)
    async for model in models:
        _tell_model(model, outcome.models.add())
    for provider in models.unreachable:
        outcome.unreachable.add(provider=provider.provider, reason=_reason_number(provider.reason))


async def _explain(client: imagegen.AsyncClient, step: driver_pb2.Step, outcome: driver_pb2.Outcome) -> None:
    if step.explain.HasField("edit"):
        change = step.explain.edit
        settings = {**_inputs(change), **_settings(change, step)}
        calls = await client.explain_edit(change.model, change.input.prompt, **settings)
    else:
        wish = step.explain.generate
        calls = await client.explain(wish.model, wish.input.prompt, **_settings(wish, step))
    for call in calls:
        told = outcome.explained.calls.add(
            model=call.model, method=call.method, url=call.url, body=call.body, requests=call.requests
        )
        told.warnings.extend(map(_warning, call.warnings))


def _limit(step: driver_pb2.Step) -> float | None:
    return step.timeout_ms / 1000 if step.timeout_ms else None


def _settings(
    wish: image_service_pb2.GenerateRequest | image_service_pb2.EditRequest, step: driver_pb2.Step
) -> dict[str, Any]:
    said: dict[str, Any] = {name: getattr(wish.options, name) or None for name in _TEXTS}
    said |= {name: getattr(wish.options, name) for name in _NUMBERS if wish.options.HasField(name)}
    if wish.options.HasField("size"):
        said["size"] = (wish.options.size.width, wish.options.size.height)
    if wish.HasField("retry"):
        said["fallback_models"] = list(wish.retry.fallback_models)
        said["retry_ambiguous"] = wish.retry.retry_ambiguous
        said["fallback_on_content_filtered"] = wish.retry.fallback_on_content_filtered
    words = {image_pb2.ON_DISCONNECT_CANCEL: "cancel", image_pb2.ON_DISCONNECT_DETACH: "detach"}
    return {
        **said,
        "params": {provider: MessageToDict(params) for provider, params in wish.params.items()},
        "strict": wish.strict,
        "delivery": _delivery(wish.delivery),
        "request_id": wish.request_id or None,
        "on_disconnect": words.get(wish.on_disconnect),
        "resumable": step.resumable,
        "timeout": _limit(step),
    }


def _delivery(delivery: image_pb2.Delivery) -> Any:
    words = {image_pb2.DELIVERY_MODE_INLINE: "inline", image_pb2.DELIVERY_MODE_REFERENCE: "reference"}
    return words.get(delivery.mode)


def _inputs(change: image_service_pb2.EditRequest) -> dict[str, Any]:
    return {
        "images": [_image(source) for source in change.input.images],
        "mask": _image(change.input.mask) if change.input.HasField("mask") else None,
    }


def _image(source: image_pb2.ImageSource) -> imagegen.Image:
    match source.WhichOneof("source"):
        case "url":
            return imagegen.Image.from_url(source.url, media_type=source.media_type)
        case "image_id":
            return imagegen.Image.from_id(source.image_id)
        case _:
            return imagegen.Image.from_bytes(source.data, media_type=source.media_type)


async def _watch(stream: imagegen.AsyncImageStream, step: driver_pb2.Step, outcome: driver_pb2.Outcome) -> None:
    try:
        async with stream:
            left = step.leave.after_events if step.HasField("leave") else -1
            async for event in stream:
                if isinstance(event, imagegen.Progress):
                    outcome.progress_events += 1
                    continue
                _tell_event(event, outcome.events.add())
                left -= 1
                if not left:
                    break
            if left:
                _tell_result(await stream.result(), outcome)
            elif step.leave.how == driver_pb2.Leave.HOW_ABORT:
                await stream.abort()
    finally:
        outcome.last_sequence = stream.last_sequence
        outcome.generation_id, outcome.request_id = stream.generation_id, stream.request_id


def _tell_event(event: imagegen.ImageEvent, told: driver_pb2.Event) -> None:
    match event:
        case imagegen.Started():
            told.started.CopyFrom(
                image_stream_pb2.GenerationStarted(
                    generation_id=event.generation_id,
                    request_id=event.request_id,
                    model=event.model,
                    warnings=map(_warning, event.warnings),
                )
            )
        case imagegen.Preview():
            told.preview.CopyFrom(_picture(event.image, event.index, event.number, event.metadata))
        case imagegen.Complete():
            told.complete.CopyFrom(_picture(event.image, event.index))
        case imagegen.Failed():
            told.failure.CopyFrom(_image_failure(event.failure))


def _tell_result(result: imagegen.ImageResult, outcome: driver_pb2.Outcome) -> None:
    told = image_pb2.ImageResult(
        generation_id=result.generation_id,
        request_id=result.request_id,
        model=result.model,
        images=map(_made, result.images),
        failures=map(_image_failure, result.failures),
        usage=_usage(result.usage),
        warnings=map(_warning, result.warnings),
        attempts=map(_attempt, result.attempts),
    )
    _tell_metadata(result.metadata, told.metadata)
    outcome.result.CopyFrom(told)
    outcome.pictures.extend(_picture(image, image.index) for image in result.images if image.has_bytes)


def _picture(
    image: imagegen.Image, index: int, number: int = 0, metadata: imagegen.Metadata | None = None
) -> driver_pb2.Picture:
    data = image.bytes if image.has_bytes else b""
    made = _made(image)
    made.index = index
    _tell_metadata(metadata or {}, made.metadata)
    return driver_pb2.Picture(
        index=index,
        preview_number=number,
        media_type=image.media_type,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest() if data else "",
        made=made,
    )


def _made(image: imagegen.Image) -> image_pb2.GeneratedImage:
    made = image_pb2.GeneratedImage()
    _tell_image(image, made.image)
    if isinstance(image, imagegen.GeneratedImage):
        made.index = image.index
        if image.seed is not None:
            made.seed = image.seed
        if image.revised_prompt is not None:
            made.revised_prompt = image.revised_prompt
        _tell_metadata(image.metadata, made.metadata)
    return made


def _tell_image(image: imagegen.Image, told: image_pb2.Image) -> None:
    told.image_id, told.media_type = image.image_id, image.media_type
    told.size_bytes, told.sha256 = image.size_bytes, image.sha256
    if image.width is not None:
        told.width = image.width
    if image.height is not None:
        told.height = image.height
    if image.expire_time is not None:
        told.expire_time.FromDatetime(image.expire_time)


def _tell_metadata(metadata: imagegen.Metadata, told: Any) -> None:
    for provider, said in metadata.items():
        told[provider].update(said)


def _warning(warning: imagegen.ImageWarning) -> image_pb2.Warning:
    return image_pb2.Warning(
        field=warning.field,
        reason=image_pb2.WarningReason.Value(f"WARNING_REASON_{warning.reason}"),
        message=warning.message,
    )


def _billed(word: str) -> Any:
    return image_pb2.Billed.Value(f"BILLED_{word.upper()}")


def _reason_number(reason: str | None) -> Any:
    if not reason:
        return 0
    # A number that the client does not know is handed out as this text.
    number = reason.removeprefix(_PREFIX)
    return int(number) if number.isdigit() else error_reason_pb2.ErrorReason.Value(_PREFIX + reason)


def _image_failure(failure: imagegen.ImageFailure) -> image_pb2.ImageFailure:
    return image_pb2.ImageFailure(
        index=failure.index,
        reason=_reason_number(failure.reason),
        message=failure.message,
        billed=_billed(failure.billed),
        metadata=failure.metadata,
    )


def _attempt(attempt: imagegen.Attempt) -> image_pb2.Attempt:
    return image_pb2.Attempt(
        provider=attempt.provider,
        model=attempt.model,
        outcome=image_pb2.AttemptOutcome.Value(f"ATTEMPT_OUTCOME_{attempt.outcome.upper()}"),
        billed=_billed(attempt.billed),
        reason=_reason_number(attempt.reason),
        http_status=attempt.http_status,
        provider_request_id=attempt.provider_request_id,
    )


def _usage(usage: imagegen.ImageUsage | None) -> image_pb2.ImageUsage | None:
    if usage is None:
        return None
    told = image_pb2.ImageUsage(
        images_generated=usage.images_generated, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
    )
    if (cost := usage.cost) is not None:
        told.cost.CopyFrom(image_pb2.Cost(amount=cost.amount, currency=cost.currency, estimated=cost.estimated))
    return told


def _tell_failure(error: imagegen.ImageGenError, failure: driver_pb2.Failure) -> None:
    failure.code = error.code.value[0]
    failure.reason = "" if error.reason == imagegen.Reason.UNSPECIFIED else _full_name(error.reason)
    failure.billed, failure.message = error.billed, error.message
    failure.provider, failure.model = error.provider, error.model
    if error.retry_delay is not None:
        failure.retry_delay.FromNanoseconds(round(error.retry_delay * 1e9))
    for violation in error.violations:
        failure.violations.add(field=violation.field, description=violation.description)
    failure.failures.extend(map(_image_failure, error.failures))
    failure.attempts.extend(map(_attempt, error.attempts))
    if (usage := _usage(error.usage)) is not None:
        failure.usage.CopyFrom(usage)
    failure.metadata.update(error.metadata)
    failure.generation_id, failure.request_id = error.generation_id, error.request_id


def _full_name(reason: str) -> str:
    return reason if reason.startswith(_PREFIX) else _PREFIX + reason


def _tell_model(model: imagegen.ModelInfo, told: model_service_pb2.Model) -> None:
    told.name, told.provider, told.display_name, told.known = (
        model.name,
        model.provider,
        model.display_name,
        model.known,
    )
    told.aliases.extend(model.aliases)
    if model.retire_time is not None:
        told.retire_time.FromDatetime(model.retire_time)
    _tell_capabilities(model.capabilities, told.capabilities)


def _tell_capabilities(can: imagegen.Capabilities, told: model_service_pb2.ModelCapabilities) -> None:
    for name in ("generate", "streaming", "edit", "max_images", "max_count", "max_input_images", "mask"):
        if (value := getattr(can, name)) is not None:
            setattr(told, name, value)
    if can.previews != "unknown":
        told.previews = model_service_pb2.PreviewSupport.Value(f"PREVIEW_SUPPORT_{can.previews.upper()}")
    for name in ("options", "sizes", "aspect_ratios", "resolutions", "qualities", "backgrounds", "formats"):
        values: Sequence[str] = getattr(can, name)
        getattr(told, name).extend(values)


async def measure(step: driver_pb2.Step) -> driver_pb2.Measured:
    """Make calls through stream(), as a user does who waits for the result."""
    wish = step.measure.request
    async with _client(step) as client:
        settings: dict[str, Any] = _settings(wish, step)
        prompt, request_id = wish.input.prompt, settings.pop("request_id")
        model = client.image(wish.model, **settings)

        async def call() -> int:
            async with model.stream(prompt, request_id=request_id) as stream:
                return sum(len(image.bytes) for image in (await stream.result()).images)

        return await measured(step.measure, call)

"""What is asked of the other server."""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import imagegen

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.redaction import digest_text, json_text
from imagegen_server.providers.base import Call, Unsent

_INLINE_BYTES = 4 * 1024 * 1024
"""Input images travel with the request up to here together. Larger ones are uploaded before, in pieces."""

_MOST_INLINE_BYTES = 60 * 1024 * 1024
"""Images that cannot be uploaded are part of the one message of a request; a server takes 65 MiB unless configured."""


def fitted(task: Task, here: str) -> tuple[Task, Sequence[Warning]]:
    """Leave out what the providers there said of input images, if the images are too large to carry it.

    An upload is the bytes alone, so that images with metadata go inline.
    """
    carrying = [at for at, image in enumerate(task.images) if _objects(image.metadata.get(here, {}))]
    if sum(len(task.images[at].data) for at in carrying) <= _MOST_INLINE_BYTES:
        return task, ()
    why = f"does not go along: together these images are larger than {_MOST_INLINE_BYTES >> 20} MiB"
    noted = [Warning(f"input.images[{at}].metadata", WarningReason.IGNORED, why) for at in carrying]
    bare = (replace(image, metadata={}) if at in carrying else image for at, image in enumerate(task.images))
    return replace(task, images=tuple(bare)), noted


def check(task: Task, here: str) -> None:
    """See that the params can be those of providers of the other server.

    :raises ImageError: INVALID_REQUEST
    """
    wrong = [
        Violation(
            f"params.{here}.{name}",
            "must be an object: the params of a provider of that server, by its name or type there",
        )
        for name, value in task.params.items()
        if not isinstance(value, dict)
    ]
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, f"{wrong[0].field}: {wrong[0].description}", violations=wrong)


def settings_of(task: Task, call: Call, images: Sequence[imagegen.Image] = ()) -> imagegen.CallSettings:
    """Say everything but prompt and images. `images` are all that go along, the mask last."""
    settings: imagegen.CallSettings = {
        "options": _options(task.options),
        "params": {name: value for name, value in task.params.items() if isinstance(value, dict)},
        "strict": task.strict,
        "timeout": seconds_left(call),
        "retry_ambiguous": task.retry.retry_ambiguous or None,
        "fallback_on_content_filtered": task.retry.fallback_on_content_filtered or None,
    }
    if call.idempotency_key:
        settings["request_id"] = _request_id(task, call, images)
    return settings


def _request_id(task: Task, call: Call, images: Sequence[imagegen.Image]) -> str:
    """Name an attempt at this wish, so that the other server buys nothing twice.

    Two servers with one token may have callers of the same name with the same request_id, who wish for other things.
    """
    fields = {name: value for name, value in _option_fields(task.options).items() if name != "preview_count"}
    said = [call.idempotency_key, task.model, task.prompt, fields, task.params, task.strict, asdict(task.retry)]
    said.append([image.sha256 for image in images])
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=dict).encode()).hexdigest()[:32]


def seconds_left(call: Call) -> float | None:
    """Tell how long the other server may take; None = as long as it takes."""
    left = call.deadline - time.monotonic()
    return None if math.isinf(left) else max(left, 0.0)


def _options(options: Options) -> imagegen.ImageOptions:
    size = options.size
    return imagegen.ImageOptions(
        count=options.count,
        size=(size.width, size.height) if size else None,
        aspect_ratio=options.aspect_ratio,
        resolution=options.resolution,
        quality=options.quality,
        background=options.background,
        format=options.format,
        compression=options.compression,
        seed=options.seed,
        negative_prompt=options.negative_prompt,
        preview_count=options.preview_count,
    )


class Inputs:
    """Hands the images of an edit over."""

    def __init__(self, client: imagegen.AsyncClient, task: Task, here: str) -> None:
        """Prepare; nothing is sent."""
        self._client = client
        self._here = here
        given = [*task.images, *([task.mask] if task.mask else [])]
        self._inline = sum(len(image.data) for image in given) <= _INLINE_BYTES

    async def give(self, image: InputImage) -> imagegen.Image:
        """Make what a request can carry for an image.

        What the other server's provider said of it goes along; an image with that is not uploaded.

        :raises ImageGenError: it cannot be uploaded
        """
        plain = imagegen.Image.from_bytes(image.data)
        if metadata := _objects(image.metadata.get(self._here, {})):
            return imagegen.GeneratedImage(
                media_type=plain.media_type,
                size_bytes=plain.size_bytes,
                sha256=plain.sha256,
                data=plain.data,
                metadata=metadata,
            )
        return plain if self._inline else await self._client.upload(plain)


def _objects(metadata: JsonObject) -> dict[str, dict[str, JsonValue]]:
    return {name: value for name, value in metadata.items() if isinstance(value, dict)}


def unsent(task: Task, address: str, *, secure: bool) -> Unsent:
    """Write the request as the JSON of its message, with images as digests."""
    method = "StreamGenerate" if task.operation is Operation.GENERATE else "StreamEdit"
    asked: dict[str, JsonValue] = {"prompt": task.prompt}
    if task.operation is Operation.EDIT:
        asked["images"] = [{"data": digest_text(image.data)} for image in task.images]
    if task.mask is not None:
        asked["mask"] = {"data": digest_text(task.mask.data)}
    body: dict[str, JsonValue] = {
        "model": task.model,
        "input": asked,
        "options": dict(_option_fields(task.options)),
        "params": dict(task.params),
        "strict": task.strict,
    }
    # Models to fall back to have names of ours.
    if allowed := {name: True for name, given in asdict(task.retry).items() if given is True}:
        body["retry"] = dict(allowed)
    scheme = "https" if secure else "http"
    return Unsent("GRPC", f"{scheme}://{address}/imagegen.v1.ImageService/{method}", json_text(body))


def _option_fields(options: Options) -> Mapping[str, JsonValue]:
    given: dict[str, JsonValue] = {name: getattr(options, name) for name in options.given()}
    if options.size:
        given["size"] = {"width": options.size.width, "height": options.size.height}
    if options.seed is not None:
        given["seed"] = str(options.seed)  # as JSON writes an int64
    return given

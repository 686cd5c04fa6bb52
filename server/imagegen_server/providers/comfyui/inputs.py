"""Pictures that go in: uploaded to the server's folder of inputs, and named in the graph.

A file is named by what is in it, so that the same picture is there once, and nodes that have read it need not again.
The server keeps what it was given.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping

from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonValue
from imagegen_server.http.body import FormFile
from imagegen_server.http.error_context import read_failure, read_object
from imagegen_server.images.masks import as_alpha_png, read_mask, to_white_png

from .errors import error_of_answer
from .exchange import Exchange
from .frames import text
from .workflow import Place, Workflow

_SUBFOLDER = "imagegen"
_MOST_BYTES = 1024 * 1024
_LONGEST_NAME = 1024
_ENDINGS = {"image/jpeg": "jpg", "image/svg+xml": "svg"}


async def uploaded(exchange: Exchange) -> dict[str, JsonValue]:
    """Upload what a task brings, and tell what its fields say then. Nothing is queued by it.

    :raises ImageError: what the server said, or what happened to the connection
    """
    task, workflow = exchange.task, exchange.workflow
    values: dict[str, JsonValue] = {}
    files = []
    for name, image in zip(workflow.image_fields, task.images, strict=False):
        files.append(await _upload(exchange, "/upload/image", image.data, _ending(image)))
        values[name] = _named(files[-1])
    places = workflow.fields.get("mask", ())
    if task.mask is None or not places:
        return values
    if places == workflow.fields.get("image"):
        # The mask is what of the picture is transparent: the server puts the two together.
        mask = await asyncio.to_thread(as_alpha_png, task.mask.data)
        reference = {"filename": files[0]["name"], "subfolder": files[0]["subfolder"], "type": files[0]["type"]}
        path = "/upload/mask"
        return values | {"image": _named(await _upload(exchange, path, mask, "png", {"original_ref": reference}))}
    transparent = _reads_transparency(workflow, places[0])
    mask = await asyncio.to_thread(_as_transparent if transparent else _as_white, task.mask.data)
    return values | {"mask": _named(await _upload(exchange, "/upload/image", mask, "png"))}


def _reads_transparency(workflow: Workflow, place: Place) -> bool:
    """Tell whether a node takes the transparent part of a mask for the one that may change; others take the white."""
    if workflow.class_of(place.node) == "LoadImageMask":
        return bool(workflow.input_of(Place(place.node, "channel")) == "alpha")
    mask_output = 1
    return workflow.class_of(place.node) == "LoadImage" and mask_output in workflow.outputs_used(place.node)


def _as_transparent(mask: bytes) -> bytes:
    return as_alpha_png(mask)


def _as_white(mask: bytes) -> bytes:
    return to_white_png(read_mask(mask))


def _ending(image: InputImage) -> str:
    kind = image.facts.media_type
    return _ENDINGS.get(kind) or kind.partition("/")[2]


async def _upload(
    exchange: Exchange, path: str, data: bytes, ending: str, more: Mapping[str, object] | None = None
) -> dict[str, str]:
    beside = {name: json.dumps(value) for name, value in (more or {}).items()}
    digest = hashlib.sha256(data + repr(beside).encode() if beside else data).hexdigest()[:32]
    fields = [("type", "input"), ("subfolder", _SUBFOLDER), *beside.items()]
    file = FormFile("image", f"{digest}.{ending}", f"image/{'jpeg' if ending == 'jpg' else ending}", data)
    try:
        async with exchange.http.post_form(path, fields, [file], exchange.headers) as answer:
            context = exchange.context_of(answer)
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            told = read_object(await answer.read(_MOST_BYTES))
    except ImageError as error:
        raise error.with_billed(Billed.NO) from None
    name = text(told.get("name"))
    if not 0 < len(name) <= _LONGEST_NAME:
        raise context.invalid("no name of a picture that was uploaded").with_billed(Billed.NO)
    return {"name": name, "subfolder": text(told.get("subfolder")), "type": text(told.get("type")) or "input"}


def _named(file: Mapping[str, str]) -> str:
    """Name a file as LoadImage does."""
    return f"{file['subfolder']}/{file['name']}" if file["subfolder"] else file["name"]

"""What makes two requests the same wish."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.task import ImageReference, Wish

from .digest import sha256_of
from .store import ImageStore


async def fingerprints(wish: Wish, caller: str, store: ImageStore) -> frozenset[str]:
    """Make the fingerprints of a wish: all that decides what is drawn, by whom, and how often it may be tried.

    Images count by their SHA-256. One that is given by id has that of the stored image as long as it is there, and in
    a second fingerprint its id, so that the same request is known again after the image has expired. One that is given
    by URL counts by the URL: fetching it again might give another.
    """
    digests = [await sha256_of(image.data) for image in (*wish.images, *([wish.mask] if wish.mask else []))]
    by_name: dict[str, str] = {}
    by_content: dict[str, str] = {}
    for reference in wish.references:
        by_name[reference.field] = f"url:{reference.url}" if reference.url else f"id:{reference.image_id}"
        by_content[reference.field] = await _content(reference, caller, store) or by_name[reference.field]
    return frozenset(_fingerprint(wish, digests, sources) for sources in (by_name, by_content))


async def _content(reference: ImageReference, caller: str, store: ImageStore) -> str:
    """Tell the SHA-256 of a stored image; "" = it is at a URL, or not there."""
    if not reference.image_id:
        return ""
    try:
        stored, _ = await store.get(caller, reference.image_id)
    except ImageError:
        return ""
    return stored.sha256


def _fingerprint(wish: Wish, digests: list[str], sources: Mapping[str, str]) -> str:
    digests = list(digests)
    metadata: list[Mapping[str, JsonObject]] = [image.metadata for image in wish.images]
    for reference in wish.references:
        place = len(wish.images) if reference.position is None else reference.position
        digests[place] = sources[reference.field]
        if reference.position is not None:
            metadata[reference.position] = reference.metadata
    options = dataclasses.asdict(wish.options)
    del options["preview_count"]
    said = {
        "operation": wish.operation.value,
        "model": wish.model,
        "prompt": wish.prompt,
        "options": options,
        "params": wish.params,
        "strict": wish.strict,
        "retry": dataclasses.asdict(wish.retry),
        "images": digests,
        "mask": wish.mask is not None,
        "metadata": metadata,
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), default=dict)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""Models: those that the table declares, those that the server lists, and any other id."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport

from .settings import ModelSettings, Switches

MAX_PARTIAL_IMAGES = 3


def capabilities_of(switches: Switches) -> Capabilities:
    """Tell what holds for every model of a server; what depends on the model is unknown."""
    edits = None if switches.edits != "none" or switches.mask_edits else False
    return Capabilities(
        generate=None,
        streaming=switches.streaming,
        edit=edits,
        max_images=switches.max_images,
        max_input_images=None if edits is False else switches.max_input_images,
        mask=False if switches.mask == "none" or edits is False else None,
        previews=PreviewSupport.IMAGES if switches.streaming else PreviewSupport.NONE,
        max_previews=MAX_PARTIAL_IMAGES if switches.streaming else None,
        options=frozenset(switches.options) | (frozenset() if switches.size == "none" else {"size"}),
    )


def declared_model(model_id: str, said: ModelSettings, usual: Capabilities) -> Model:
    """Tell what the table says of a model. Options that the server is not sent stay unknown to it."""
    able = replace(
        usual,
        generate=True if said.generate is None else said.generate,
        edit=usual.edit if said.edit is None or usual.edit is False else said.edit,
        mask=usual.mask if said.mask is None or usual.mask is False else said.mask,
        max_images=said.max_images or usual.max_images,
        max_input_images=said.max_input_images or usual.max_input_images,
        options=usual.options if said.options is None or usual.options is None else usual.options & set(said.options),
        sizes=said.sizes,
        aspect_ratios=said.aspect_ratios,
        qualities=said.qualities,
        formats=said.formats,
    )
    if able.edit is False:
        able = replace(able, mask=False, max_input_images=None)
    return Model(id=model_id, capabilities=able)


def listed_ids(payload: object) -> Sequence[str]:
    """Read the answer to GET /models: a list, or one under `data`. Where kinds are told, images only.

    :raises KeyError, TypeError: it is none
    """
    entries = payload["data"] if isinstance(payload, Mapping) else payload
    if not isinstance(entries, list):
        raise TypeError("no list")
    kinds = {entry.get("type") for entry in entries}
    ids = [entry["id"] for entry in entries if "image" not in kinds or entry.get("type") == "image"]
    if not all(isinstance(model_id, str) and model_id for model_id in ids):
        raise TypeError("an id that is no text")
    return ids

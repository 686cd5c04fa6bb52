"""What the vendor's own list says of models: ImageModelListItem and CapabilityDescriptor of the OpenAPI document.

There is no table here. A model that the list has not told of yet is asked for as it is.
"""

from collections.abc import Mapping, Sequence

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport

PARAM_OPTIONS: Mapping[str, str] = {
    "n": "count",
    "size": "size",
    "aspect_ratio": "aspect_ratio",
    "resolution": "resolution",
    "quality": "quality",
    "background": "background",
    "output_format": "format",
    "output_compression": "compression",
    "seed": "seed",
}
"""The vendor's fields that say what an option says, by that option."""

_OPTIONS = frozenset(PARAM_OPTIONS.values()) - {"count"}
_MOST_REFERENCES = 16
"""`input_references` of any model: maxItems."""

_SIZES = ("size", "aspect_ratio", "resolution")
"""Pixels are said by `size`, which the vendor turns into a ratio and a resolution where a model has only these."""

_STREAMING_AUTHOR = "openai/"
"""Whose models stream, as the documents say; only a guess until the list has told of a model."""


def guessed_model(model_id: str) -> Model:
    """Tell what holds for any model of this vendor."""
    streams = model_id.startswith(_STREAMING_AUTHOR)
    able = Capabilities(
        generate=True,
        streaming=True if streams else None,
        max_input_images=_MOST_REFERENCES,
        mask=False,
        previews=PreviewSupport.IMAGES if streams else PreviewSupport.UNKNOWN,
        options=_OPTIONS,
    )
    return Model(id=model_id, capabilities=able, known=False)


def model_of(entry: Mapping[str, object]) -> Model:
    """Read one entry of the list.

    :raises KeyError, TypeError: it has no id, or is built in another way
    """
    model_id, name, told = entry["id"], entry.get("name"), entry.get("supported_parameters")
    if not isinstance(model_id, str) or not model_id:
        raise TypeError("an id that is no text")
    streams = entry.get("supports_streaming")
    descriptors = told if isinstance(told, Mapping) else {}
    formats = _values(descriptors, "output_format")
    # A model that only writes SVG streams text, which is no preview.
    shows = PreviewSupport.IMAGES if streams is True and formats != ("svg",) else PreviewSupport.NONE
    edits = _edits(entry, descriptors)
    able = Capabilities(
        generate=_least(descriptors, "input_references") < 1,
        streaming=streams if isinstance(streams, bool) else None,
        edit=edits,
        # A field that is missing is not supported, but a list without any field has not been filled in.
        max_images=(_most(descriptors, "n") or 1) if descriptors else None,
        max_input_images=None if edits is False else _most(descriptors, "input_references") or _MOST_REFERENCES,
        mask=False,
        previews=shows if isinstance(streams, bool) else PreviewSupport.UNKNOWN,
        options=_options(descriptors) if descriptors else _OPTIONS,
        sizes=_values(descriptors, "size"),
        aspect_ratios=_values(descriptors, "aspect_ratio"),
        resolutions=_values(descriptors, "resolution"),
        qualities=_values(descriptors, "quality"),
        backgrounds=_values(descriptors, "background"),
        formats=formats,
    )
    return Model(id=model_id, capabilities=able, display_name=name if isinstance(name, str) else "")


def models_of(payload: object) -> Sequence[Model]:
    """Read the whole list: ImageModelsListResponse.

    :raises KeyError, TypeError: it is none
    """
    entries = payload["data"] if isinstance(payload, Mapping) else None
    if not isinstance(entries, list):
        raise TypeError("no list")
    return [model_of(entry) for entry in entries]


def _options(descriptors: Mapping[str, object]) -> frozenset[str]:
    named = {option for field, option in PARAM_OPTIONS.items() if field in descriptors}
    return frozenset(named | ({"size"} if named.intersection(_SIZES) else set())) - {"count"}


def _edits(entry: Mapping[str, object], descriptors: Mapping[str, object]) -> bool | None:
    """Tell whether input images are taken; None = the two places that tell it do not agree."""
    if "input_references" in descriptors:
        return _most(descriptors, "input_references") != 0
    architecture = entry.get("architecture")
    kinds = architecture.get("input_modalities") if isinstance(architecture, Mapping) else None
    return None if not isinstance(kinds, list) or "image" in kinds else False


def _values(descriptors: Mapping[str, object], field: str) -> tuple[str, ...]:
    """List the values of an EnumCapability; () = any, or unknown."""
    told = descriptors.get(field)
    values = told.get("values") if isinstance(told, Mapping) else None
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


def _most(descriptors: Mapping[str, object], field: str) -> int | None:
    """Tell the end of a RangeCapability; None = it has none."""
    return _bound(descriptors.get(field), "max")


def _least(descriptors: Mapping[str, object], field: str) -> int:
    return _bound(descriptors.get(field), "min") or 0


def _bound(told: object, key: str) -> int | None:
    value = told.get(key) if isinstance(told, Mapping) else None
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1 and value >= 0
    return int(value) if whole and isinstance(value, int | float) else None

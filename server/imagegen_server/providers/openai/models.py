"""Models and what they can do, by family. Any id passes through: the vendor's list is always ahead of this one.

Sources: the pages on models and deprecations of platform.openai.com/docs, the fields of the OpenAPI document,
and, newer than that, of the types in github.com/openai/openai-python.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport

from .sizes import PIXELS_OF_RESOLUTION

MAX_PARTIAL_IMAGES = 3
WITHOUT_PREVIEWS = ("gif", "svg")
"""Formats that cannot be streamed."""

PARAM_OPTIONS: Mapping[str, str] = {
    "n": "count",
    "size": "size",
    "quality": "quality",
    "background": "background",
    "output_format": "format",
    "output_compression": "compression",
    "partial_images": "preview_count",
}
"""The vendor's fields that say what an option says, by that option."""

_OPTIONS = frozenset({"size", "aspect_ratio", "quality", "background", "format", "compression"})
_FIXED_SIZES = ("1024x1024", "1536x1024", "1024x1536")


@dataclass(frozen=True, slots=True)
class Family:
    """What the models of one generation share. `any_size`: takes sizes by rule rather than from a list.

    `gpt_image`: answers base64 without being asked, draws in steps, and chooses by itself what is "auto".
    `url_by_default`: answers a URL unless asked for base64.
    """

    capabilities: Capabilities
    gpt_image: bool = True
    any_size: bool = False
    url_by_default: bool = False


_FIRST = Family(
    Capabilities(
        generate=True,
        streaming=True,
        edit=True,
        max_images=10,
        max_input_images=16,
        mask=True,
        previews=PreviewSupport.IMAGES,
        max_previews=MAX_PARTIAL_IMAGES,
        options=_OPTIONS,
        sizes=_FIXED_SIZES,
        aspect_ratios=("1:1", "3:2", "2:3"),
        qualities=("auto", "low", "medium", "high"),
        backgrounds=("auto", "opaque", "transparent"),
        formats=("png", "jpeg", "webp"),
    )
)
_SECOND = Family(
    replace(
        _FIRST.capabilities,
        options=_OPTIONS | {"resolution"},
        sizes=(),
        aspect_ratios=(),
        resolutions=tuple(PIXELS_OF_RESOLUTION),
    ),
    any_size=True,
)
_SECOND_AND_A_HALF = replace(
    _SECOND, capabilities=replace(_SECOND.capabilities, qualities=("auto", "low", "medium", "high", "xhigh", "max"))
)
_SECOND_AND_SIX = replace(
    _SECOND_AND_A_HALF,
    capabilities=replace(_SECOND_AND_A_HALF.capabilities, formats=("png", "jpeg", "webp", *WITHOUT_PREVIEWS)),
)
_DALL_E_3 = Family(
    Capabilities(
        generate=True,
        streaming=False,
        edit=False,
        max_images=1,
        mask=False,
        previews=PreviewSupport.NONE,
        options=frozenset({"size", "quality"}),
        sizes=("1024x1024", "1792x1024", "1024x1792"),
        qualities=("standard", "hd"),
    ),
    gpt_image=False,
    url_by_default=True,
)
_DALL_E_2 = Family(
    Capabilities(
        generate=True,
        streaming=False,
        edit=True,
        max_images=10,
        max_input_images=1,
        mask=True,
        previews=PreviewSupport.NONE,
        options=frozenset({"size"}),
        sizes=("256x256", "512x512", "1024x1024"),
    ),
    gpt_image=False,
    url_by_default=True,
)
_UNKNOWN = Family(
    Capabilities(options=frozenset({"size", "quality", "background", "format", "compression"})), gpt_image=False
)

_FAMILIES = (
    ("gpt-image-2.5", _SECOND_AND_A_HALF),
    ("gpt-image-2.6", _SECOND_AND_SIX),
    ("gpt-image-1", _FIRST),
    ("gpt-image-", _SECOND),
    ("chatgpt-image-", _FIRST),
    ("dall-e-3", _DALL_E_3),
    ("dall-e-2", _DALL_E_2),
)
"""By the beginning of the id; the first that matches counts."""

_DECEMBER = date(2026, 12, 1)
_KNOWN: Mapping[str, date | None] = {
    "gpt-image-2": None,
    "gpt-image-2-2026-04-21": None,
    "gpt-image-2.5-sunburst": None,
    "gpt-image-2.5-sunburst-2026-09-08": None,
    "gpt-image-2.5-flare": None,
    "gpt-image-2.5-flare-2026-09-08": None,
    "gpt-image-2.6-sunburst": None,
    "gpt-image-2.6-flare": None,
    "gpt-image-1.5": _DECEMBER,
    "gpt-image-1.5-2025-12-16": _DECEMBER,
    "gpt-image-1-mini": _DECEMBER,
    "chatgpt-image-latest": _DECEMBER,
    "gpt-image-1": date(2026, 10, 23),
    "dall-e-3": date(2026, 5, 12),
    "dall-e-2": date(2026, 5, 12),
}
"""The models that were ever announced, with the day on which the vendor ends them; None = no end announced."""


def family_of(model_id: str) -> Family:
    """Find the family of any id; one that begins like none of them is unknown in every respect."""
    return next((family for prefix, family in _FAMILIES if model_id.startswith(prefix)), _UNKNOWN)


def find_model(model_id: str) -> Model:
    """Tell what is known of any id."""
    end = _KNOWN.get(model_id)
    return Model(
        id=model_id,
        capabilities=family_of(model_id).capabilities,
        known=model_id in _KNOWN,
        retire_time=datetime.combine(end, time(), UTC) if end else None,
    )


def living_models(now: datetime) -> list[Model]:
    """List the known models that the vendor has not ended."""
    models = [find_model(model_id) for model_id in _KNOWN]
    return [model for model in models if model.retire_time is None or model.retire_time > now]

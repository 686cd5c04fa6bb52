"""Models and what they can do, by family. Any id passes through: the vendor's list is always ahead of this one.

Sources: ai.google.dev/gemini-api/docs/image-generation (ratios and sizes by model), .../models, .../deprecations.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_STEEP_RATIOS = (*_RATIOS, "1:4", "4:1", "1:8", "8:1")
_OPTIONS = frozenset({"aspect_ratio", "resolution", "seed"})
MOST_PREVIEWS = 2
"""Interim images that a model makes while it thinks: "up to two" in the page on image generation."""

_THIRD = Capabilities(
    generate=True,
    streaming=True,
    edit=True,
    max_images=1,
    max_input_images=14,
    mask=False,
    previews=PreviewSupport.IMAGES,
    max_previews=MOST_PREVIEWS,
    options=_OPTIONS,
    aspect_ratios=_RATIOS,
    resolutions=("1K", "2K", "4K"),
)
_SECOND = replace(
    _THIRD,
    max_input_images=3,
    previews=PreviewSupport.NONE,
    max_previews=None,
    options=frozenset({"aspect_ratio", "seed"}),
    resolutions=(),
)
_UNKNOWN = Capabilities(max_images=1, mask=False, options=_OPTIONS)

_FAMILIES: tuple[tuple[str, Capabilities], ...] = (
    ("gemini-2.", _SECOND),
    ("gemini-3.1-flash-lite-image", replace(_THIRD, resolutions=("1K",))),
    ("gemini-3.1-flash-image", replace(_THIRD, aspect_ratios=_STEEP_RATIOS, resolutions=("512", "1K", "2K", "4K"))),
    ("gemini-nano-banana", replace(_THIRD, aspect_ratios=_STEEP_RATIOS)),
    ("gemini-3", _THIRD),
)
"""By the beginning of the id; the first that matches counts."""

_SUMMER = date(2026, 6, 25)
KNOWN: Mapping[str, date | None] = {
    "gemini-nano-banana-2.1": None,
    "gemini-3.1-flash-image": None,
    "gemini-3.1-flash-lite-image": None,
    "gemini-3-pro-image": None,
    "gemini-3-pro-image-preview": _SUMMER,
    "gemini-3.1-flash-image-preview": _SUMMER,
    "gemini-2.5-flash-image": date(2026, 10, 2),
}
"""The models that were ever announced, with the day on which the vendor ends them; None = no end announced."""


def find_model(
    model_id: str, display_name: str = "", *, listed: bool = False, known: Mapping[str, date | None] = KNOWN
) -> Model:
    """Tell what is known of any id. `listed`: the vendor itself has just named it."""
    end = known.get(model_id)
    return Model(
        id=model_id,
        capabilities=next((able for prefix, able in _FAMILIES if model_id.startswith(prefix)), _UNKNOWN),
        display_name=display_name,
        known=listed or model_id in known,
        retire_time=datetime.combine(end, time(), UTC) if end else None,
    )


def living_models(now: datetime) -> list[Model]:
    """List the known models that the vendor has not ended."""
    return living(map(find_model, KNOWN), now)


def living(models: Iterable[Model], now: datetime) -> list[Model]:
    """Leave out the models that have ended."""
    return [model for model in models if model.retire_time is None or model.retire_time > now]


def draws(entry: Mapping[str, object]) -> bool:
    """Tell whether an entry of the vendor's list is an image model: the list does not say so, but the names do."""
    methods = entry.get("supportedGenerationMethods")
    able = not isinstance(methods, list) or "generateContent" in methods
    return able and draws_by_name(str(entry.get("name", "")))


def draws_by_name(name: str) -> bool:
    """Tell whether a model is called as those are that draw."""
    return "-image" in name or "banana" in name


def thinks(model_id: str) -> bool:
    """Tell whether a model draws interim images while it thinks, which it must be asked to show."""
    return find_model(model_id).capabilities.previews is PreviewSupport.IMAGES

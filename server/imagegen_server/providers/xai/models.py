"""Models and what they can do, by family. Any id passes through: the vendor's list is always ahead of this one.

Sources: the release notes and the migration guides of docs.x.ai, ImageAspectRatio and ImageResolution of its REST
reference, and docs.x.ai/developers/model-capabilities/images.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport

PARAM_OPTIONS: Mapping[str, str] = {
    "n": "count",
    "aspect_ratio": "aspect_ratio",
    "resolution": "resolution",
    "quality": "quality",
}
"""The vendor's fields that say what an option says, by that option."""

_RATIOS = (
    *("auto", "1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2"),
    *("9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1"),
)
_FIRST = Capabilities(
    generate=True,
    streaming=False,
    edit=True,
    max_images=10,
    max_input_images=3,
    mask=False,
    previews=PreviewSupport.NONE,
    options=frozenset({"aspect_ratio", "resolution"}),
    aspect_ratios=_RATIOS,
    resolutions=("1K", "2K"),
)
_SECOND = replace(
    _FIRST,
    max_input_images=5,
    options=_FIRST.options | {"quality"} if _FIRST.options else None,
    aspect_ratios=(*_RATIOS, "21:9", "5:2"),
    resolutions=("1K", "1.5K", "2K"),
    qualities=("auto", "low", "medium", "high"),
)
_REDIRECTED = replace(_SECOND, options=_FIRST.options, qualities=())
"""Names that the second generation answers, at a quality that the vendor sets."""

_GROK_2 = replace(_FIRST, edit=False, max_input_images=None, options=frozenset(), aspect_ratios=(), resolutions=())
_UNKNOWN = Capabilities(
    streaming=False,
    mask=False,
    previews=PreviewSupport.NONE,
    options=frozenset({"aspect_ratio", "resolution", "quality"}),
)

_FAMILIES: tuple[tuple[str, Capabilities], ...] = (
    ("grok-imagine-image-quality", _REDIRECTED),
    ("grok-imagine-image-pro", _REDIRECTED),
    ("grok-imagine-image-", _SECOND),
    ("grok-imagine-image", _FIRST),
    ("grok-2-image", _GROK_2),
)
"""By the beginning of the id; the first that matches counts."""

_KNOWN: Mapping[str, date | None] = {
    "grok-imagine-image-2.0": None,
    "grok-imagine-image": None,
    "grok-imagine-image-quality": date(2026, 11, 2),
    "grok-imagine-image-pro": date(2026, 5, 15),
}
"""The models that were announced, with the day on which the vendor ends them; None = no end announced."""


def find_model(model_id: str, *, listed: bool = False) -> Model:
    """Tell what is known of any id. `listed`: the vendor itself has just named it."""
    end = _KNOWN.get(model_id)
    return Model(
        id=model_id,
        capabilities=next((able for prefix, able in _FAMILIES if model_id.startswith(prefix)), _UNKNOWN),
        known=listed or model_id in _KNOWN,
        retire_time=datetime.combine(end, time(), UTC) if end else None,
    )


def living_models(now: datetime) -> list[Model]:
    """List the known models that the vendor has not ended."""
    models = [find_model(model_id) for model_id in _KNOWN]
    return [model for model in models if model.retire_time is None or model.retire_time > now]


def listed_models(payload: Any) -> list[Model]:
    """Read the vendor's list.

    :raises KeyError, TypeError: it is none, or an entry has no name
    """
    ids = [entry["id"] for entry in payload["models"]]
    if not all(isinstance(model_id, str) and model_id for model_id in ids):
        raise TypeError("an entry without a name")
    return [find_model(model_id, listed=True) for model_id in ids]

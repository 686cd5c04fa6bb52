"""Models on Vertex AI: what differs from the Gemini API is when they end, and that their format can be chosen.

Sources: the pages on model versions and lifecycle and the release notes of docs.cloud.google.com. Where the page says
"or later", no end has been announced.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

from imagegen_server.domain.capabilities import Model
from imagegen_server.providers.google.models import draws_by_name, find_model, living
from imagegen_server.providers.google.request import OUTPUT_PATHS

_PREVIEWS_END = date(2026, 7, 19)
KNOWN: Mapping[str, date | None] = {
    "gemini-nano-banana-2.1": None,
    "gemini-3.1-flash-image": None,
    "gemini-3.1-flash-lite-image": None,
    "gemini-3-pro-image": None,
    "gemini-3-pro-image-preview": _PREVIEWS_END,
    "gemini-3.1-flash-image-preview": _PREVIEWS_END,
    "gemini-2.5-flash-image": date(2027, 3, 15),
}
"""The models that were ever announced, with the day on which the vendor ends them; None = no end announced."""

FORMATS = ("png", "jpeg")
PUBLISHER = "publishers/google/models"


def find_vertex_model(model_id: str, *, listed: bool = False) -> Model:
    """Tell what is known of any id. `listed`: the vendor itself has just named it."""
    found = find_model(model_id, listed=listed, known=KNOWN)
    able = found.capabilities
    options = None if able.options is None else able.options | OUTPUT_PATHS.keys()
    formats = FORMATS if able.generate else ()
    return replace(found, capabilities=replace(able, options=options, formats=formats))


def known_models() -> list[Model]:
    """List the known models that the vendor has not ended."""
    return living(map(find_vertex_model, KNOWN), datetime.now(UTC))


def listed_model(entry: Mapping[str, object]) -> Model | None:
    """Read an entry of the vendor's list; None = it is no Gemini model that draws, as its name tells."""
    model_id = str(entry.get("name", "")).removeprefix(f"{PUBLISHER}/")
    # Many other models of the list are about images and draw none.
    return (
        find_vertex_model(model_id, listed=True) if model_id.startswith("gemini-") and draws_by_name(model_id) else None
    )

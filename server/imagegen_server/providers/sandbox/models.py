"""The sandbox's models: one that draws, and one for each kind of trouble."""

from collections.abc import Mapping
from dataclasses import replace

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.json import JsonObject

SCENE = "scene"

_OPTIONS = frozenset(
    {
        "size",
        "aspect_ratio",
        "resolution",
        "quality",
        "background",
        "format",
        "compression",
        "seed",
        "negative_prompt",
    }
)

_DRAWS = Capabilities(
    generate=True,
    streaming=True,
    edit=True,
    max_images=4,
    max_count=16,
    max_input_images=4,
    mask=True,
    previews=PreviewSupport.IMAGES,
    max_previews=8,
    options=_OPTIONS,
    resolutions=("1K", "2K", "4K"),
    qualities=("low", "medium", "high"),
    backgrounds=("opaque", "transparent"),
    formats=("png", "jpeg", "webp"),
)

_OF_EXACT_LENGTH = replace(_DRAWS, formats=("png",), options=_OPTIONS - {"compression"})

_FAILURES: dict[str, JsonObject] = {
    f"fail-{reason.name.lower().replace('_', '-')}": {"fail": reason.name} for reason in Reason
}

SCRIPTS: Mapping[str, JsonObject] = {
    SCENE: {},
    "slow": {"duration": 10},
    "stall": {"stall": True},
    "partial": {"fail": "PROVIDER_ERROR", "fail_index": [1, 3]},
    "moderated-after-preview": {"fail": "CONTENT_FILTERED", "stage": "output", "fail_after_previews": 1},
    "bytes": {"size_bytes": 5_000_000},
    "truncated": {"spoil": "truncated"},
    "garbage": {"spoil": "garbage"},
    "wrong-type": {"spoil": "wrong-type"},
    "empty": {"spoil": "empty"},
    "crash": {"crash": True},
    "flaky": {"fail": "PROVIDER_UNAVAILABLE", "fail_attempts": 1},
    **_FAILURES,
}
"""The params that a model's name stands for; a request's own params come on top."""


def find_model(model_id: str) -> Model:
    """Tell what is known of any id."""
    known = model_id in SCRIPTS
    return Model(
        id=model_id,
        capabilities=_OF_EXACT_LENGTH if model_id == "bytes" else _DRAWS,
        display_name=f"Sandbox: {model_id.replace('-', ' ')}" if known else "",
        known=known,
    )

"""What a request used: ImagesResponse.usage, and that of SVG, which two models make together."""

from collections.abc import Mapping

from imagegen_server.domain.events import Report
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import TokenKinds, Usage

_MOST_TOKENS = 2**53
"""From here on a number is no count, and none that a cost can be worked out from."""


def report_of(payload: Mapping[str, object], images: int) -> Report:
    """Tell the tokens of an answer with so many images."""
    said, authoring = payload.get("usage"), payload.get("svg_usage")
    if isinstance(authoring, Mapping):
        # Two models with prices of their own have worked, and one number of tokens cannot tell of both.
        told: JsonObject = {"usage": _plain(said), "svg_usage": _plain(authoring)}
        return Report(Usage(images_generated=images), told)
    if not isinstance(said, Mapping):
        return Report(Usage(images_generated=images))
    into, out = said.get("input_tokens_details"), said.get("output_tokens_details")
    usage = Usage(
        images_generated=images,
        input_tokens=_tokens(said, "input_tokens"),
        output_tokens=_tokens(said, "output_tokens"),
        kinds=TokenKinds(
            input_text=_tokens(into, "text_tokens"),
            input_image=_tokens(into, "image_tokens"),
            output_text=_tokens(out, "text_tokens"),
            output_image=_tokens(out, "image_tokens"),
        ),
    )
    return Report(usage)


def _plain(value: object) -> JsonValue:
    if not isinstance(value, Mapping):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, int | str)}


def _tokens(details: object, key: str) -> int | None:
    value = details.get(key) if isinstance(details, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None

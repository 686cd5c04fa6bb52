"""Models: the checkpoints that the server lists, and `default`, which is the one that it has loaded.

Sources: `get_sd_models` and `get_samplers` in modules/api/api.py of AUTOMATIC1111/stable-diffusion-webui and of Forge,
examples/server/routes_sdapi.cpp and routes_sdcpp.cpp of leejet/stable-diffusion.cpp.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.task import PixelSize

DEFAULT = "default"
"""The id of whatever model the server has loaded."""

OPTIONS = frozenset({"size", "seed", "negative_prompt"})
_MOST_NAMES = 1000
_SLASH = r"[\\/]"
_TITLE = re.compile(
    r"(?P<name>.*?)(?:\.(?:safetensors|ckpt|gguf|pt|pth|sft))?(?: \[(?P<hash>[0-9a-f]{6,64})\])?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What sd-server says of sizes in pixels, of pictures at once, and of samplers; any other name it overlooks."""

    least: PixelSize | None = None
    most: PixelSize | None = None
    batch: int | None = None
    samplers: tuple[str, ...] = ()

    def why_refused(self, size: PixelSize) -> str:
        """Say which limit a size breaks; "" = none that is known."""
        if self.least and (size.width < self.least.width or size.height < self.least.height):
            return f"{size}: this server draws {self.least} pixels at least"
        if self.most and (size.width > self.most.width or size.height > self.most.height):
            return f"{size}: this server draws {self.most} pixels at most"
        return ""


def capabilities_of(batch_size: int, *, tells: bool) -> Capabilities:
    """Tell what holds for every model of a server. `tells`: it tells how far a picture is, or was not asked yet."""
    return Capabilities(
        generate=True,
        streaming=tells,
        edit=True,
        max_images=batch_size,
        max_input_images=1,
        mask=True,
        previews=PreviewSupport.IMAGES if tells else PreviewSupport.NONE,
        edits_without_words=True,
        options=OPTIONS,
    )


def listed_titles(payload: object) -> Mapping[str, str]:
    """Read the answer to GET /sdapi/v1/sd-models: the name of each checkpoint, by its title.

    :raises KeyError, TypeError: it is none
    """
    if not isinstance(payload, list):
        raise TypeError("no list")
    found: dict[str, str] = {}
    for entry in payload[:_MOST_NAMES]:
        title, name = entry["title"], entry.get("model_name")
        if not isinstance(title, str) or not title:
            raise TypeError("a title that is no text")
        found[title] = name if isinstance(name, str) else ""
    return found


def listed_samplers(payload: object) -> Sequence[str]:
    """Read the answer to GET /sdapi/v1/samplers.

    :raises KeyError, TypeError: it is none
    """
    if not isinstance(payload, list):
        raise TypeError("no list")
    names = [entry["name"] for entry in payload[:_MOST_NAMES]]
    return [name for name in names if isinstance(name, str)]


def read_limits(payload: object) -> Limits:
    """Read the answer of sd-server to GET /sdcpp/v1/capabilities.

    :raises KeyError, TypeError, AttributeError: it is none
    """
    if not isinstance(payload, Mapping):
        raise TypeError("no object")
    limits, samplers = payload["limits"], payload.get("samplers")
    names = [name for name in samplers[:_MOST_NAMES] if isinstance(name, str)] if isinstance(samplers, list) else []
    return Limits(
        _size(limits.get("min_width"), limits.get("min_height")),
        _size(limits.get("max_width"), limits.get("max_height")),
        _positive(limits.get("max_batch_count")),
        tuple(names),
    )


def is_another(asked: str, name: str, short_hash: str) -> bool:
    """Tell whether the model that drew, as the server names it, is another than the one whose title was asked for."""
    wanted = _TITLE.fullmatch(asked)
    if wanted is None:
        return False
    if wanted["hash"] and short_hash:
        return not wanted["hash"].startswith(short_hash) and not short_hash.startswith(wanted["hash"])
    drew = _TITLE.fullmatch(name)
    if not name or drew is None:
        return False
    # Of a checkpoint in a folder some tell the path, some "folder_name", and some the name alone.
    one, other = (f"_{re.sub(_SLASH, '_', found['name']).casefold()}" for found in (wanted, drew))
    return not one.endswith(other) and not other.endswith(one)


def _size(width: object, height: object) -> PixelSize | None:
    sides = _positive(width), _positive(height)
    return PixelSize(sides[0], sides[1]) if sides[0] and sides[1] else None


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None


def as_model(model_id: str, able: Capabilities, name: str = "", *, known: bool) -> Model:
    """Describe one model."""
    return Model(model_id, able, display_name=name, known=known)

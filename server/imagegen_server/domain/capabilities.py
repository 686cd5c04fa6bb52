"""What a model can do."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class PreviewSupport(Enum):
    """What can be shown while a model works. The numbers are those of the proto enum PreviewSupport."""

    UNKNOWN = 0
    NONE = 1
    PROGRESS = 2
    IMAGES = 3


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do, as the proto message ModelCapabilities says it. None = unknown; () = any, or unknown.

    `options` names the fields of Options that the model honours besides count and preview_count; None = unknown, so
    the adapter gets them all.
    `max_previews` is the most previews of one image; None = no limit known.
    """

    generate: bool | None = None
    streaming: bool | None = None
    edit: bool | None = None
    max_images: int | None = None
    max_count: int | None = None
    max_input_images: int | None = None
    mask: bool | None = None
    previews: PreviewSupport = PreviewSupport.UNKNOWN
    max_previews: int | None = None
    edits_without_words: bool = False
    options: frozenset[str] | None = None
    sizes: tuple[str, ...] = ()
    aspect_ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """A model of one provider. `id` is the provider's own; `known` is False for an id never seen before."""

    id: str
    capabilities: Capabilities
    display_name: str = ""
    known: bool = True
    retire_time: datetime | None = None

"""Which fields the body of a model's request has, and what of our options they can say.

Sources: the types of every endpoint in the vendor's package `@fal-ai/client` 1.10.1: 539 of them answer pictures.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from imagegen_server.domain.capabilities import Capabilities, PreviewSupport
from imagegen_server.domain.task import PixelSize

MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*){0,7}", re.ASCII)
"""What can be the path of a model."""

PARAM_OPTIONS: Mapping[str, str] = {
    "num_images": "count",
    "aspect_ratio": "aspect_ratio",
    "resolution": "resolution",
    "quality": "quality",
    "background": "background",
    "output_format": "format",
    "seed": "seed",
    "negative_prompt": "negative_prompt",
}
"""The vendor's fields that say what an option says, by that option. `image_size` says two, so it stays a param."""

IMAGE_FIELDS = ("image_urls", "image_url")
"""Where input images go: the one that a model must have, else the first that it has. Beside a required `image_url`,
`image_urls` are references for a style."""

MASK_FIELDS = ("mask_url", "mask_image_url")
MOST_INPUTS = 16
"""Of `image_urls`, where nobody says less: more than this no vendor is known to take."""

NAMED_SIZES: Mapping[str, tuple[str, PixelSize]] = {
    "1:1": ("square_hd", PixelSize(1024, 1024)),
    "3:4": ("portrait_4_3", PixelSize(768, 1024)),
    "9:16": ("portrait_16_9", PixelSize(576, 1024)),
    "4:3": ("landscape_4_3", PixelSize(1024, 768)),
    "16:9": ("landscape_16_9", PixelSize(1024, 576)),
}
"""How `image_size` names a ratio, and the size that most models mean by it."""

_AUTO = "auto_"
"""Before a resolution, in the values of `image_size`."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The fields of one model.

    `values` lists the strings that a field takes, where there is a list. `pixels`: `image_size` takes a width and a
    height, too. `most_images` of one request; None = not known. `most_inputs` of `image_urls`; None = no limit told.
    `guessed`: nobody has said what this model's fields are.
    """

    fields: frozenset[str]
    required: frozenset[str] = frozenset({"prompt"})
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pixels: bool = True
    most_images: int | None = 1
    most_inputs: int | None = None
    guessed: bool = False

    @property
    def image_field(self) -> str:
        """The field of input images; "" = there is none."""
        there = (name for names in (self.required, self.fields) for name in IMAGE_FIELDS if name in names)
        return next(there, "")

    @property
    def mask_field(self) -> str:
        """The field of the mask; "" = there is none."""
        return next((name for name in MASK_FIELDS if name in self.fields), "")

    def size_named(self, ratio: str) -> str:
        """Tell how `image_size` says a ratio; "" = it cannot."""
        name = ratio if ratio == "auto" else NAMED_SIZES[ratio][0] if ratio in NAMED_SIZES else ""
        return name if name in self.values.get("image_size", ()) else ""

    def size_of_resolution(self, resolution: str) -> str:
        """Tell how `image_size` says a resolution; "" = it cannot."""
        return self.spelled("image_size", _AUTO + resolution)

    def spelled(self, name: str, value: str) -> str:
        """Write a value as the field's list does, whatever its case; "" = it is not there."""
        return next((known for known in self.values.get(name, ()) if known.lower() == value.lower()), "")

    def capabilities(self, *, streams: bool | None) -> Capabilities:
        """Say it as our API does. `streams`: there are previews; None = not known."""
        sizes = self.values.get("image_size", ())
        ratios = self.values.get("aspect_ratio") or tuple(
            ratio for ratio in (*NAMED_SIZES, "auto") if self.size_named(ratio)
        )
        resolutions = self.values.get("resolution") or tuple(
            name.removeprefix(_AUTO) for name in sizes if name.startswith(_AUTO)
        )
        return Capabilities(
            generate=None if self.guessed else "prompt" in self.fields and self.image_field not in self.required,
            streaming=streams,
            edit=None if self.guessed else bool(self.image_field),
            max_images=self.most_images,
            max_input_images=1 if self.image_field == "image_url" else self._most_inputs(),
            mask=None if self.guessed else bool(self.mask_field),
            previews={True: PreviewSupport.IMAGES, False: PreviewSupport.PROGRESS, None: PreviewSupport.UNKNOWN}[
                streams
            ],
            edits_without_words="prompt" not in self.required,
            options=self._options(bool(ratios), bool(resolutions)),
            sizes=() if self.pixels else tuple(size for size in sizes if "x" in size),
            aspect_ratios=ratios,
            resolutions=tuple(resolution.upper() for resolution in resolutions),
            qualities=self.values.get("quality", ()),
            backgrounds=self.values.get("background", ()),
            formats=self.values.get("output_format", ()),
        )

    def _most_inputs(self) -> int | None:
        return (self.most_inputs or MOST_INPUTS) if self.image_field and not self.guessed else None

    def _options(self, ratios: bool, resolutions: bool) -> frozenset[str]:
        named = {option for name, option in PARAM_OPTIONS.items() if name in self.fields}
        more = {
            "size": "image_size" in self.fields,
            "aspect_ratio": ratios,
            "resolution": resolutions,
        }
        return frozenset(named | {option for option, known in more.items() if known}) - {"count"}

"""Which inputs a model has, and what of our options they can say.

Sources: the OpenAPI documents of models at the vendor, as its pages and projects that use them show them. Their names
are what authors of models agree on, no more.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from imagegen_server.domain.capabilities import Capabilities, PreviewSupport
from imagegen_server.http.json_schema import as_object, fields_of, required_in, schemas_in

IMAGE_LISTS = ("input_images", "image_input", "images", "reference_images")
IMAGE_FIELDS = (*IMAGE_LISTS, "input_image", "image", "init_image", "image_prompt")
"""Where input images go: the one that a model must have, else the first that it has."""

_NUMBERED = (
    tuple(f"input_image_{number}" for number in range(1, 9)),
    ("input_image", *(f"input_image_{number}" for number in range(2, 9))),
)
"""Fields of models that have one for each input image."""

MASK_FIELDS = ("mask", "mask_image")
COUNT_FIELDS = ("num_outputs", "number_of_images", "num_images")
COMPRESSION_FIELDS = ("output_quality", "output_compression")
SIZE_FIELDS = ("size", "resolution", "image_size")
"""Fields that name sizes in pixels ("1024x1536"), resolutions ("2K"), or both, as their author likes it."""

CONTROLLED = frozenset({"prompt", *IMAGE_FIELDS, *MASK_FIELDS, *(name for names in _NUMBERED for name in names)})
PARAM_OPTIONS: Mapping[str, str] = {
    **dict.fromkeys(COUNT_FIELDS, "count"),
    "aspect_ratio": "aspect_ratio",
    "quality": "quality",
    "background": "background",
    "output_format": "format",
    **dict.fromkeys(COMPRESSION_FIELDS, "compression"),
    "seed": "seed",
    "negative_prompt": "negative_prompt",
}
"""Inputs that say what an option says, by that option. Those that may say a size or a resolution stay params."""

_SIZE = re.compile(r"[0-9]{2,5}x[0-9]{2,5}")
_RATIO = re.compile(r"[0-9.]{1,5}:[0-9.]{1,5}$", re.ASCII)
_RESOLUTION = re.compile(r"[0-9](?:\.[0-9])?[kK]")
CUSTOM = "custom"
"""The value that says: as `width` and `height` say."""

_MOST_INPUTS = 16
"""Input images where a model names no limit: what a request can hold."""

_BLACK_MASK = re.compile(
    r"black(?:(?!white|[.,;]).){0,40}(?:inpaint|repaint|edit|chang|replac|fill)", re.IGNORECASE | re.DOTALL
)
"""What the description of a mask says where black is the part that may change: that of Ideogram's models does."""

_AUTO = ("match_input_image", "auto")
_MEGAPIXELS: Mapping[str, tuple[str, ...]] = {
    "0.5K": ("0.25 MP", "0.25"),
    "1K": ("1 MP", "1"),
    "2K": ("4 MP", "4"),
}
"""How resolutions are named where an author counts pixels."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of one model.

    `values` lists the strings that an input takes, where there is a list; `lists` names those that take several values.
    `most` is the largest number of an input, or its longest list. `black_mask`: black is where the picture may change,
    not white. `iterates`: pictures come one by one. `version` is the one to run if the caller names none; "" = the
    vendor chooses. `public`: everybody may run the model. `guessed`: nobody has said what its inputs are.
    """

    fields: frozenset[str]
    required: frozenset[str] = frozenset({"prompt"})
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    most: Mapping[str, int] = field(default_factory=dict)
    black_mask: bool = False
    iterates: bool = False
    version: str = ""
    public: bool = True
    guessed: bool = False

    @property
    def image_fields(self) -> tuple[str, ...]:
        """The fields of input images: one that may take several, or one for each; () = there are none."""
        for names in _NUMBERED:
            if all(name in self.fields for name in names[:2]):
                return tuple(name for name in names if name in self.fields)
        found = (name for names in (self.required, self.fields) for name in IMAGE_FIELDS if name in names)
        return tuple(found)[:1]

    @property
    def mask_field(self) -> str:
        """The field of the mask; "" = there is none."""
        return self._first(MASK_FIELDS)

    @property
    def count_field(self) -> str:
        """The field that says how many pictures; "" = there is none."""
        return self._first(COUNT_FIELDS)

    @property
    def compression_field(self) -> str:
        """The field that says how much is lost; "" = there is none."""
        return self._first(COMPRESSION_FIELDS)

    @property
    def pixels(self) -> bool:
        """Whether any width and height can be said."""
        return {"width", "height"} <= self.fields

    def _first(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if name in self.fields), "")

    def spelled(self, name: str, value: str) -> str:
        """Write a value as the list of an input does, whatever its case; "" = it is not there."""
        return next((known for known in self.values.get(name, ()) if known.lower() == value.lower()), "")

    def format_spelled(self, value: str) -> str:
        """Write a format as the model does: some say "jpg"."""
        other = {"jpeg": "jpg", "jpg": "jpeg"}.get(value.lower(), "")
        return self.spelled("output_format", value) or self.spelled("output_format", other) or value

    def ratio_spelled(self, value: str) -> str:
        """Write a ratio as the model does: it has its own word for that of the input."""
        words = (value, *_AUTO) if value == "auto" else (value,)
        return next(filter(None, (self.spelled("aspect_ratio", word) for word in words)), value)

    def size_named(self, size: str) -> tuple[str, str] | None:
        """Tell which input names a size in pixels, and how; None = none does."""
        found = ((name, self.spelled(name, size)) for name in SIZE_FIELDS)
        return next(((name, spelled) for name, spelled in found if spelled), None)

    def resolution_named(self, resolution: str) -> tuple[str, str] | None:
        """Tell which input names a resolution, and how; None = none does."""
        words = (resolution, *_MEGAPIXELS.get(resolution.upper(), ()))
        found = ((name, self.spelled(name, word)) for name in (*SIZE_FIELDS, "megapixels") for word in words)
        return next(((name, spelled) for name, spelled in found if spelled), None)

    def capabilities(self) -> Capabilities:
        """Say it as our API does."""
        listed = len(self.image_fields) == 1 and self.image_fields[0] in self.lists
        most_inputs = self.most.get(self.image_fields[0], _MOST_INPUTS) if listed else len(self.image_fields) or None
        previews = PreviewSupport.IMAGES if self.iterates else PreviewSupport.PROGRESS
        needed = bool(set(self.image_fields) & self.required) or self.mask_field in self.required
        return Capabilities(
            generate=None if self.guessed else "prompt" in self.fields and not needed,
            streaming=None if self.guessed else self.iterates,
            edit=None if self.guessed else bool(self.image_fields),
            max_images=None if self.guessed else self.most.get(self.count_field, 1),
            max_input_images=None if self.guessed else most_inputs,
            mask=None if self.guessed else bool(self.mask_field),
            previews=PreviewSupport.UNKNOWN if self.guessed else previews,
            edits_without_words="prompt" not in self.required,
            options=None if self.guessed else self._options(),
            sizes=() if self.pixels else _unique(self._named(pixels=True)),
            aspect_ratios=self._ratios(),
            resolutions=_unique(self._named(pixels=False)),
            qualities=self.values.get("quality", ()),
            backgrounds=self.values.get("background", ()),
            formats=_unique(
                "jpeg" if name.lower() == "jpg" else name.lower() for name in self.values.get("output_format", ())
            ),
        )

    def _ratios(self) -> tuple[str, ...]:
        """List the ratios, without other words that stand beside them."""
        listed = self.values.get("aspect_ratio", ())
        return _unique("auto" if ratio in _AUTO else ratio for ratio in listed if ratio in _AUTO or _RATIO.match(ratio))

    def _named(self, *, pixels: bool) -> list[str]:
        """List the sizes, or the resolutions, that inputs name."""
        listed = [value for name in SIZE_FIELDS for value in self.values.get(name, ())]
        if pixels:
            return [value for value in listed if _SIZE.fullmatch(value)]
        plain = [value.upper() for value in listed if _RESOLUTION.fullmatch(value)]
        return plain or [name for name in _MEGAPIXELS if self.resolution_named(name)]

    def _options(self) -> frozenset[str]:
        named = {option for name, option in PARAM_OPTIONS.items() if name in self.fields}
        if self.pixels or self._named(pixels=True):
            named.add("size")
        if self._named(pixels=False):
            named.add("resolution")
        if self.values.get("aspect_ratio") and not self._ratios():
            named.discard("aspect_ratio")
        return frozenset(named) - {"count"}


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def inputs_in(document: object, *, public: bool, version: str = "") -> Inputs | None:
    """Read the inputs in the OpenAPI document of a version; None = it tells none."""
    schemas = schemas_in(document)
    found = fields_of(schemas.get("Input"), schemas)
    if not found:
        return None
    masks = (form.get("description") for name in MASK_FIELDS if name in found for form in found[name].forms)
    bounds = {name: told.bound("maxItems" if told.has_type("array") else "maximum") for name, told in found.items()}
    return Inputs(
        frozenset(found),
        required_in(schemas.get("Input"), schemas),
        {name: strings for name, told in found.items() if (strings := told.strings())},
        frozenset(name for name, told in found.items() if told.has_type("array")),
        {name: bound for name, bound in bounds.items() if bound},
        black_mask=any(isinstance(text, str) and _BLACK_MASK.search(text) for text in masks),
        iterates=as_object(schemas.get("Output")).get("x-cog-array-type") == "iterator",
        version=version,
        public=public,
    )

"""What Stability AI's models and services take, wherever they are run: fields, images and their limits.

Sources: the vendor's OpenAPI document, and the pages on the same models in Amazon Bedrock's user guide.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imagegen_server.domain.capabilities import Capabilities, PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, PixelSize, Task
from imagegen_server.http.form import EXTENSIONS
from imagegen_server.images.masks import read_mask, to_white_png

PARAM_OPTIONS: Mapping[str, str] = {
    "aspect_ratio": "aspect_ratio",
    "negative_prompt": "negative_prompt",
    "output_format": "format",
    "seed": "seed",
}
"""The vendor's fields that say what an option says, by that option."""

DIRECTIONS = ("left", "right", "up", "down")
"""Fields of which one must be more than 0: by how many pixels a picture grows there."""

RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
FORMATS = ("png", "jpeg", "webp")

UNKNOWN = Capabilities(
    streaming=False,
    max_images=1,
    max_input_images=1,
    previews=PreviewSupport.NONE,
    options=frozenset(PARAM_OPTIONS.values()),
)
"""Of a model that is not known; what others can do begins with it."""

DRAWS = replace(UNKNOWN, generate=True, edit=True, mask=False, aspect_ratios=RATIOS, formats=FORMATS)
EDITS = replace(DRAWS, generate=False, options=frozenset({"seed", "negative_prompt", "format"}), aspect_ratios=())
STYLES = replace(EDITS, options=UNKNOWN.options, aspect_ratios=RATIOS)
WITHOUT_WORDS = replace(EDITS, options=frozenset({"seed", "format"}), edits_without_words=True)
FORMAT_ONLY = replace(WITHOUT_WORDS, options=frozenset({"format"}))

MEGAPIXEL = PixelSize(1024, 1024)
_MOST_SEED = 4_294_967_294
_MOST_CHARACTERS = 10_000
"""Of a prompt, and of a negative one."""

_WANTED = {
    "search_prompt": "is required: what in the picture to replace",
    "select_prompt": "is required: what in the picture to recolor",
    "strength": "is required: how far the picture may change, from 0 (not at all) to 1 (altogether)",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken of an input image, in pixels. None = nothing is said of it."""

    least_side: int | None = 64
    most_side: int | None = None
    most_pixels: int | None = 9_437_184
    most_ratio: float | None = 2.5

    def why_refused(self, image: InputImage) -> str:
        """Say why an image is not taken; "" = it is."""
        if image.facts.media_type not in EXTENSIONS:
            return f"is {image.facts.media_type}; Stability's models take PNG, JPEG and WebP"
        width, height = image.facts.width, image.facts.height
        if width is None or height is None:
            return ""
        short, long = sorted((width, height))
        what = ""
        if self.least_side is not None and short < self.least_side:
            what = f"sides of {self.least_side} pixels and more"
        elif self.most_side is not None and long > self.most_side:
            what = f"sides of {self.most_side:,} pixels at most"
        elif self.most_pixels is not None and short * long > self.most_pixels:
            what = f"{self.most_pixels:,} pixels at most"
        elif self.most_ratio is not None and long > short * self.most_ratio:
            what = f"ratios from 1:{self.most_ratio} to {self.most_ratio}:1"
        return f"is {width}x{height} pixels; this model takes {what}" if what else ""


ANY_SIZE = Limits(None, None, None, None)
ANY_RATIO = Limits(most_ratio=None)
UP_TO_A_MEGAPIXEL = Limits(most_pixels=1_048_576, most_ratio=None)
FAST = Limits(32, 1536, 1_048_576, None)
"""Of the fast upscaler."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A model: what it can do, and the fields that it has besides those of options.

    `images` names the fields of its input images, of which the first `least_images` must be there. `prompt` is the
    field of the words; "" = it has none. `words_or_images`: it does without words if there are so many images.
    `needed` names params without which the vendor refuses an edit. `mode`: an edit has to say that it is one.
    `edit_ratio`: an edit, too, may have another ratio than its picture. `limits` are those of each image; the last
    also of all behind it. `usual` is the size of what it draws; None = that of its input, or not known.
    """

    able: Capabilities
    images: tuple[str, ...] = ("image",)
    least_images: int = 1
    prompt: str = "prompt"
    words_or_images: int = 0
    needed: tuple[str, ...] = ()
    mode: bool = False
    edit_ratio: bool = False
    limits: tuple[Limits, ...] = (Limits(),)
    usual: PixelSize | None = None


def fitted(
    provider: str, vendor: str, task: Task, shape: Shape, too_large: Sequence[Violation] = ()
) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say of its model.

    `provider` is its configured name, `vendor` how people call who would refuse; `too_large` is what is wrong with the
    request as a whole.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    options, noted = task.options, list[Warning]()
    wrong = [*_wrong_words(task), *_wrong_images(task, shape), *too_large]
    if task.operation is Operation.EDIT:
        wrong += _missing(provider, task, shape)
        if options.aspect_ratio is not None and not shape.edit_ratio:
            noted.append(_ignored("options.aspect_ratio", "an edit keeps the shape of the picture"))
            options = replace(options, aspect_ratio=None)
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, f"{vendor} would refuse this", violations=wrong)
    if task.prompt and not shape.prompt:
        noted.append(_ignored("input.prompt", f"{task.model} works without words, and takes none"))
    if options.seed is not None and options.seed == 0:
        noted.append(_ignored("options.seed", "0 means any seed to the vendor; the result tells which it was"))
    return replace(task, options=options, usual_size=shape.usual or task.usual_size), noted


def fields_of(task: Task, shape: Shape) -> JsonObject:
    """The fields of a request besides its images. Nothing is said that was not asked for."""
    options = task.options
    wishes: dict[str, JsonValue] = {
        shape.prompt: task.prompt if shape.prompt and task.prompt else None,
        "negative_prompt": options.negative_prompt,
        "aspect_ratio": options.aspect_ratio,
        "seed": options.seed,
        "output_format": options.format,
        "mode": "image-to-image" if shape.mode and task.images else None,
    }
    return {name: value for name, value in wishes.items() if value is not None} | dict(task.params)


def input_bytes(task: Task) -> int:
    """Bytes of all images, the mask included."""
    return sum(len(image.data) for image in [*task.images, *([task.mask] if task.mask else [])])


def white_mask(data: bytes) -> bytes:
    """Make a mask what these models read: white = edit. Decodes it."""
    return to_white_png(read_mask(data))


def _ignored(field: str, why: str) -> Warning:
    return Warning(field, WarningReason.IGNORED, why)


def _missing(provider: str, task: Task, shape: Shape) -> Iterator[Violation]:
    """Find what an edit lacks."""
    if shape.needed == DIRECTIONS:
        if not any(task.params.get(direction) for direction in DIRECTIONS):
            what = "is required, or another direction: by how many pixels the picture grows there, at most 2000"
            yield Violation(f"params.{provider}.{DIRECTIONS[0]}", what)
    else:
        for name in shape.needed:
            if task.params.get(name) is None:
                yield Violation(f"params.{provider}.{name}", _WANTED[name])
    if len(task.images) < shape.least_images:
        yield Violation("input.images", "two are required: the picture, and the one whose style it gets")
    if shape.words_or_images and not task.prompt and len(task.images) < shape.words_or_images:
        yield Violation("input.prompt", "is required, or a second image: what the background is to be")
    if shape.able.mask and task.mask is None and not any(image.facts.alpha for image in task.images):
        yield Violation("input.mask", "is required, unless the picture itself is transparent where it may change")


def _wrong_words(task: Task) -> Iterator[Violation]:
    """Find what of the words and the numbers is out of its range."""
    texts = {"input.prompt": task.prompt, "options.negative_prompt": task.options.negative_prompt or ""}
    for field, text in texts.items():
        if len(text) > _MOST_CHARACTERS:
            yield Violation(field, f"has {len(text):,} characters; the vendor takes at most {_MOST_CHARACTERS:,}")
    seed = task.options.seed
    if seed is not None and not 0 <= seed <= _MOST_SEED:
        yield Violation("options.seed", f"must be from 0 to {_MOST_SEED}")


def _wrong_images(task: Task, shape: Shape) -> Iterator[Violation]:
    for position, image in enumerate(task.images):
        limits = shape.limits[min(position, len(shape.limits) - 1)]
        if problem := limits.why_refused(image):
            yield Violation(f"input.images[{position}]", problem)

"""What is refused or warned about before anything is spent, by field; all else goes to the vendor."""

from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.image import ImageFacts, InputImage
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import PixelSize, Wish
from imagegen_server.generation.plan import Candidate
from PIL import Image

from tests.support.generation import drawing, editing, planner, told
from tests.support.openai_provider import openai_entry
from tests.support.pictures import encoded, png

IGNORED, ADJUSTED = WarningReason.IGNORED, WarningReason.ADJUSTED
OVERRIDDEN = WarningReason.OVERRIDDEN_BY_PARAMS
PICTURE = png(16, 16)
MASK = encoded(Image.new("RGBA", (16, 16), (0, 0, 0, 128)), "PNG")


async def planned(wish: Wish) -> Candidate:
    """Hold a wish against the provider, which is never called."""
    return (await planner(openai_entry("http://127.0.0.1:9/v1")).plan(wish)).first


def by(model: str = "gpt-image-2", *, params: dict[str, Any] | None = None, **options: Any) -> Wish:
    """Wish for a drawing by a model of this provider."""
    return drawing(f"openai/{model}", params={"openai": params} if params else None, **options)


def changed(*images: bytes, mask: bytes | None = None, model: str = "gpt-image-2", **options: Any) -> Wish:
    """Wish for an edit by a model of this provider."""
    wish = editing(*images, mask=mask, model=f"openai/{model}")
    return replace(wish, options=replace(wish.options, **options))


def of_size(size: int, media_type: str = "image/png") -> InputImage:
    """Stand for a picture of so many bytes; nobody looks into it."""
    return InputImage(bytes(size), ImageFacts(media_type, 16, 16, alpha=False))


REFUSED = [
    (by(size=PixelSize(1000, 1024)), ["options.size"]),
    (by(size=PixelSize(4096, 1024)), ["options.size"]),
    (by(size=PixelSize(3072, 1008)), ["options.size"]),
    (by(size=PixelSize(3840, 2176)), ["options.size"]),
    (by(params={"size": "1000x1000"}), ["options.size"]),
    (by(aspect_ratio="4:1"), ["options.aspect_ratio"]),
    (by(aspect_ratio="wide"), ["options.aspect_ratio"]),
    (by("gpt-image-3", resolution="8K"), ["options.resolution"]),
    (by("gpt-image-3", resolution="8K", aspect_ratio="wide"), ["options.aspect_ratio", "options.resolution"]),
    (by("gpt-image-1.9", aspect_ratio="16:9"), ["options.aspect_ratio"]),
    (by(background="transparent", format="jpeg"), ["options.background"]),
    (by(params={"background": "transparent", "output_format": "jpeg"}), ["options.background"]),
    (changed(encoded(Image.new("P", (16, 16)), "GIF")), ["input.images[0]"]),
    (changed(PICTURE, encoded(Image.new("P", (16, 16)), "GIF")), ["input.images[1]"]),
    (changed(PICTURE, mask=MASK, model="gpt-image-2.6-flare", format="gif"), ["input.mask"]),
    (changed(*[PICTURE] * 17), ["input.images"]),
    (changed(PICTURE, mask=encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "PNG")), ["input.mask"]),
    (by(count=17), ["options.count"]),
    *(
        (by(params={name: "x"}), [f"params.openai.{name}"])
        for name in ("model", "prompt", "stream", "image", "image[]", "images", "mask", "response_format")
    ),
    (by(params={"n": "2"}), ["params.openai.n"]),
    (by(params={"n": 0}), ["params.openai.n"]),
    (by(params={"output_compression": 101}), ["params.openai.output_compression"]),
    (by(params={"quality": 3}), ["params.openai.quality"]),
    (
        by(size=PixelSize(1000, 1000), background="transparent", format="jpeg", count=99),
        ["options.count", "options.size", "options.background"],
    ),
]


@pytest.mark.parametrize(("wish", "fields"), REFUSED, ids=lambda value: "-".join(value) if type(value) is list else "")
async def test_what_the_vendor_documents_to_refuse_costs_nothing(wish: Wish, fields: list[str]) -> None:
    """Every field that is wrong is named, in one answer."""
    with pytest.raises(ImageError) as raised:
        await planned(wish)

    assert (raised.value.reason, raised.value.billed) == (Reason.INVALID_REQUEST, Billed.NO)
    assert told(raised.value) == fields


@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-9", "flux-1"])
@pytest.mark.parametrize("over", [0, 1])
async def test_a_picture_has_less_than_fifty_megabytes(model: str, over: int) -> None:
    """In the wider sense of the word, so that nothing is refused that may pass."""
    most = 50 * 1024 * 1024 - 1
    wish = replace(changed(PICTURE, model=model), images=(of_size(most), of_size(most + over, "image/webp")))

    if not over:
        await planned(wish)
        return
    with pytest.raises(ImageError) as raised:
        await planned(wish)
    assert told(raised.value) == ["input.images[1]"]


WARNED = [
    (by(seed=1), [("options.seed", IGNORED)]),
    (by(negative_prompt="fog"), [("options.negative_prompt", IGNORED)]),
    (by(quality="best"), [("options.quality", IGNORED)]),
    (by(quality="max"), [("options.quality", IGNORED)]),
    (by(background="green"), [("options.background", IGNORED)]),
    (by(format="avif"), [("options.format", IGNORED)]),
    (by(format="gif"), [("options.format", IGNORED)]),
    (by(resolution="8K"), [("options.resolution", IGNORED)]),
    (by(compression=50), [("options.compression", IGNORED)]),
    (by(compression=50, format="png"), [("options.compression", IGNORED)]),
    (by("gpt-image-2.6-flare", compression=50, format="svg"), [("options.compression", IGNORED)]),
    (by(params={"output_compression": 50}), [("options.compression", IGNORED)]),
    (by(preview_count=4), [("options.preview_count", ADJUSTED)]),
    (by("gpt-image-2.6-flare", preview_count=2, format="gif"), [("options.preview_count", IGNORED)]),
    (by("gpt-image-2.6-flare", params={"partial_images": 1}, format="svg"), [("options.preview_count", IGNORED)]),
    (by(count=2, params={"n": 3}), [("options.count", OVERRIDDEN)]),
    (by(size=PixelSize(1024, 1024), params={"size": "1536x864"}), [("options.size", OVERRIDDEN)]),
    (changed(PICTURE, mask=encoded(Image.new("RGBA", (16, 16)), "PNG")), [("input.mask", "MASK_WITHOUT_EFFECT")]),
]


@pytest.mark.parametrize(("wish", "warnings"), WARNED)
async def test_what_is_not_done_as_asked_is_warned_about(wish: Wish, warnings: list[tuple[str, object]]) -> None:
    """By the field of the request; with `strict` the same refuses the call."""
    noted = (await planned(wish)).warnings
    assert [(note.field, note.reason) for note in noted] == [
        (field, WarningReason[reason] if isinstance(reason, str) else reason) for field, reason in warnings
    ]

    with pytest.raises(ImageError) as raised:
        await planned(replace(wish, strict=True))
    assert raised.value.reason is Reason.OPTION_NOT_SUPPORTED
    assert told(raised.value) == [field for field, _ in warnings]


async def test_previews_that_nobody_asked_for_are_no_warning() -> None:
    """A stream of a GIF has none by itself; only who asked for some hears of it."""
    wish = replace(by("gpt-image-2.6-flare", format="gif"), preview_default=2, strict=True)

    plan = await planned(wish)

    assert (plan.warnings, plan.task.preview_count) == ((), 0)


TAKEN = [
    by(size=PixelSize(16, 16)),
    by("gpt-image-3", size=PixelSize(7680, 4320)),
    by("gpt-image-2-2027-01-01", size=PixelSize(1000, 1000)),
    by("flux-1", size=PixelSize(1000, 1000)),
    by("gpt-image-3", quality="best", format="avif", compression=3, background="green"),
    by(params={"quality": "best", "output_format": "avif", "size": "auto", "background": "green", "n": 11}),
    by(params={"size": "auto", "seed": 3, "style": "vivid", "input_fidelity": "high", "new": {"deep": [None, 1.5]}}),
    by(background="transparent"),
    by(background="transparent", format="webp", compression=0),
    by(count=16, preview_count=3),
    by("gpt-image-2.5-flare", quality="max"),
    by("gpt-image-2.6-flare", format="svg", background="transparent"),
    replace(by(), prompt="a" * 40_000),
    changed(*[PICTURE] * 16, mask=MASK),
    changed(PICTURE, model="gpt-image-2.6-flare", format="gif"),
    changed(PICTURE, model="flux-1", mask=MASK),
]


@pytest.mark.parametrize("wish", TAKEN)
async def test_what_the_vendor_may_take_is_sent(wish: Wish) -> None:
    """Nothing is refused or left out because of what we do not know."""
    plan = await planned(replace(wish, strict=True))

    assert plan.warnings == ()


@pytest.mark.parametrize(
    ("model", "options", "size"),
    [
        ("gpt-image-2", {"aspect_ratio": "16:9"}, PixelSize(1280, 720)),
        ("gpt-image-2", {"resolution": "2K"}, PixelSize(2048, 2048)),
        ("gpt-image-2", {"aspect_ratio": "9:16", "resolution": "4K"}, PixelSize(2160, 3840)),
        ("gpt-image-3", {"aspect_ratio": "3:1", "resolution": "4K"}, PixelSize(3840, 1280)),
        ("gpt-image-1.5", {"aspect_ratio": "3:2"}, PixelSize(1536, 1024)),
        ("chatgpt-image-latest", {"aspect_ratio": "2:3"}, PixelSize(1024, 1536)),
    ],
)
async def test_a_ratio_becomes_pixels(model: str, options: dict[str, Any], size: PixelSize) -> None:
    """The vendor knows sizes only."""
    given = (await planned(by(model, **options))).task.options

    assert (given.size, given.aspect_ratio, given.resolution) == (size, None, None)


async def test_a_size_in_the_vendors_words_wins_over_a_ratio() -> None:
    """Params say what is sent, whatever the options say beside them."""
    given = (await planned(by(aspect_ratio="16:9", params={"size": "1024x1024"}))).task.options

    assert (given.size, given.aspect_ratio) == (PixelSize(1024, 1024), None)


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"count": 3}, [3]),
        ({"count": 10}, [10]),
        ({"count": 12}, [10, 2]),
        ({"count": 3, "preview_count": 1}, [1, 1, 1]),
        ({"count": 3, "preview_count": 0}, [3]),
    ],
)
async def test_images_are_asked_for_in_as_few_requests_as_can_be(options: dict[str, Any], counts: list[int]) -> None:
    """Ten in one answer, and in a stream one, because its events do not say to which image they belong."""
    plan = await planned(by(**options))

    assert [task.count for _, task in plan.batches] == counts


async def test_vector_drawings_are_asked_for_one_by_one() -> None:
    """The vendor draws one SVG a request, and several GIFs."""
    vectors = await planned(by("gpt-image-2.6-flare", format="svg", count=3))
    films = await planned(by("gpt-image-2.6-flare", format="gif", count=3))

    assert ([task.count for _, task in vectors.batches], [task.count for _, task in films.batches]) == ([1, 1, 1], [3])

"""Wishes that have a meaning in our language and in that of the official `openai` package."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from PIL import Image

from .generation import as_input
from .pictures import encoded, png

_PICTURE = Image.new("RGB", (16, 16), "teal")
PICTURES = {"png": png(16, 16), "jpg": encoded(_PICTURE, "JPEG"), "webp": encoded(_PICTURE, "WEBP")}
MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
MASK = encoded(Image.new("RGBA", (16, 16), (0, 0, 0, 0)), "PNG")


@dataclass(frozen=True)
class Asked:
    """A wish in both languages: a task for the adapter, arguments for the package."""

    task: Task
    arguments: dict[str, Any]


def _sizes() -> st.SearchStrategy[PixelSize]:
    sides = st.integers(64, 160).map(lambda steps: steps * 16)
    return st.builds(PixelSize, sides, sides).filter(
        lambda size: max(size.width, size.height) <= 3 * min(size.width, size.height)
    )


_SHARED_PARAMS = {
    "user": st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12),
    "moderation": st.sampled_from(["low", "auto"]),
    "complexity": st.sampled_from(["low", "medium", "high"]),
    "frame_count": st.integers(2, 16),
    "svg": st.fixed_dictionaries(
        {"model": st.just("gpt-6")},
        optional={"reasoning": st.fixed_dictionaries({"effort": st.sampled_from(["low", "max"])})},
    ),
}


@st.composite
def asked(draw: st.DrawFn, operation: Operation) -> Asked:
    """Make a wish that has a meaning in both languages."""
    model = draw(st.sampled_from(["gpt-image-2", "gpt-image-2.6-flare", "gpt-image-2.5-sunburst", "gpt-image-9"]))
    prompt = draw(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60))
    arguments: dict[str, Any] = {"model": model, "prompt": prompt}
    previews = draw(st.integers(0, 3))
    count = 1 if previews else draw(st.integers(1, 10))
    size = draw(st.none() | _sizes())
    file_format = draw(st.sampled_from([None, "png", "jpeg", "webp"]))
    options = Options(
        count=count,
        size=size,
        quality=draw(st.sampled_from([None, "auto", "low", "high", "max"])),
        background=draw(st.sampled_from([None, "opaque", "auto"])),
        format=file_format,
        compression=draw(st.none() | st.integers(0, 100)) if file_format in ("jpeg", "webp") else None,
        preview_count=previews,
    )
    if count > 1:
        arguments["n"] = count
    if size:
        arguments["size"] = f"{size.width}x{size.height}"
    elif operation is Operation.EDIT:
        arguments["size"] = "auto"
    said = {
        "quality": options.quality,
        "background": options.background,
        "output_format": options.format,
        "output_compression": options.compression,
    }
    arguments |= {name: value for name, value in said.items() if value is not None}
    if previews:
        arguments |= {"stream": True, "partial_images": previews}
    params: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=_SHARED_PARAMS))
    if operation is Operation.GENERATE:
        task = Task(operation, model, prompt, options, params=params)
        return Asked(task, arguments | params)
    kinds = draw(st.lists(st.sampled_from(sorted(PICTURES)), min_size=1, max_size=4))
    mask = draw(st.booleans())
    task = Task(
        operation,
        model,
        prompt,
        options,
        images=tuple(as_input(PICTURES[kind]) for kind in kinds),
        mask=as_input(MASK) if mask else None,
        params=dict(params),
    )
    files = [
        (f"image-{number}.{kind}" if len(kinds) > 1 else f"image.{kind}", PICTURES[kind], MEDIA_TYPES[kind])
        for number, kind in enumerate(kinds, start=1)
    ]
    arguments["image"] = files if len(files) > 1 else files[0]
    if mask:
        arguments["mask"] = ("mask.png", MASK, "image/png")
    # The package knows no moderation of edits by name, and sends it when told so.
    extra = {name: params.pop(name) for name in ("moderation",) if name in params}
    return Asked(task, arguments | params | {"extra_body": extra})

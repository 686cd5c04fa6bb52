"""Reading the images of an edit."""

import pytest
from imagegen.v1 import image_pb2
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.task import ImageReference, Operation
from imagegen_server.rpc.decode import decode
from PIL import Image

from tests.support.calls import edit
from tests.support.pictures import encoded, png

PICTURE = Image.new("RGB", (8, 6))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'


def violated(source: image_pb2.ImageSource, *, mask: bool = False) -> dict[str, str]:
    """Put a source into an edit and list what is wrong: description by field."""
    request = edit(png())
    target = request.input.mask if mask else request.input.images.add()
    target.CopyFrom(source)
    return {violation.field: violation.description for violation in decode(request, preview_default=0).violations}


def of(data: bytes) -> image_pb2.ImageSource:
    """Give bytes."""
    return image_pb2.ImageSource(data=data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_four_documented_types_are_taken(kind: str) -> None:
    """The bytes and their facts reach the wish; the hint of the caller does not matter."""
    data = encoded(PICTURE, kind)
    request = edit()
    request.input.images.add(data=data, media_type="image/x-wrong")

    found = decode(request, preview_default=0)

    (image,) = found.wish.images
    assert found.violations == []
    assert image.data == data
    assert (image.facts.media_type, image.facts.width, image.facts.height) == (f"image/{kind.lower()}", 8, 6)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no image"),
        (b"<html>", "no image"),
        (encoded(PICTURE, "BMP"), "image/bmp"),
        (encoded(PICTURE, "TIFF"), "image/tiff"),
        (encoded(PICTURE, "ICO"), "icon"),
        (SVG, "image/svg+xml"),
        (png()[:20], "cut short"),
    ],
    ids=["empty", "html", "bmp", "tiff", "ico", "svg", "cut short"],
)
@pytest.mark.parametrize("mask", [False, True])
def test_what_is_no_such_image_is_refused(data: bytes, said: str, mask: bool) -> None:
    """Other types and no image at all are told by the path of the bytes, for images and masks."""
    found = violated(of(data), mask=mask)

    path = "input.mask.data" if mask else "input.images[1].data"
    assert set(found) == {path}
    assert said in found[path]


def test_an_image_is_limited_in_bytes() -> None:
    """64 MiB and a byte are refused without looking into them."""
    assert set(violated(of(bytes(MAX_IMAGE_BYTES + 1)))) == {"input.images[1].data"}
    assert MAX_IMAGE_BYTES == 67_108_864


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (image_pb2.ImageSource(), ""),
        (image_pb2.ImageSource(media_type="image/png"), ""),
        (image_pb2.ImageSource(url=""), ".url"),
        (image_pb2.ImageSource(url="https://example.com/" + "é" * 4087), ".url"),
        (image_pb2.ImageSource(image_id=""), ".image_id"),
        (image_pb2.ImageSource(image_id="i" * 129), ".image_id"),
    ],
    ids=["no source", "hint only", "empty url", "long url", "empty id", "long id"],
)
def test_a_source_must_say_where_the_image_is(source: image_pb2.ImageSource, path: str) -> None:
    """None, an empty one and one that is too long are told by name, for images and masks."""
    assert set(violated(source)) == {f"input.images[1]{path}"}
    assert set(violated(source, mask=True)) == {f"input.mask{path}"}


def test_what_is_elsewhere_is_a_reference() -> None:
    """An image by URL and one by id keep their places for what will be fetched, the longest names that there are."""
    url, image_id = "https://example.com/" + "e" * (8192 - 20), "i" * 128
    request = edit(png())
    request.input.images.add(url=url)
    request.input.images.add(data=png(shade=9))
    request.input.images.add(image_id=image_id).metadata["test"].update({"n": 3})
    request.input.mask.url = "http://example.com/mask.png"

    found = decode(request, preview_default=0)

    assert found.violations == []
    assert [image.data for image in found.wish.images] == [png(), b"", png(shade=9), b""]
    assert found.wish.mask is not None
    assert found.wish.mask.data == b""
    assert found.wish.references == (
        ImageReference("input.images[1]", 1, url=url),
        ImageReference("input.images[3]", 3, image_id=image_id, metadata={"test": {"n": 3}}),
        ImageReference("input.mask", None, url="http://example.com/mask.png"),
    )


def test_metadata_of_a_reference_is_checked_as_any_other() -> None:
    """What a double cannot hold is told by its path; bytes alone make no reference."""
    source = image_pb2.ImageSource(image_id="img_1")
    source.metadata["test"].update({"n": 2.0**53})

    assert set(violated(source)) == {"input.images[1].metadata.test.n"}
    assert decode(edit(png()), preview_default=0).wish.references == ()


def test_an_edit_needs_an_image_and_takes_sixteen() -> None:
    """None is wrong, 16 are good, 17 are not, and the rest is not even read."""

    def wrong(count: int) -> list[str]:
        return [violation.field for violation in decode(edit(*[png()] * count), preview_default=0).violations]

    assert [wrong(0), wrong(1), wrong(16), wrong(17)] == [["input.images"], [], [], ["input.images"]]
    many = edit(*[png()] * 16, *[b"?"] * 5)
    found = decode(many, preview_default=0)
    assert [violation.field for violation in found.violations] == ["input.images"]
    assert len(found.wish.images) == 16


def test_an_edit_may_be_without_words() -> None:
    """Whether that is good the model decides, not the reading."""
    request = edit(png())
    request.input.prompt = ""

    found = decode(request, preview_default=0)

    assert found.violations == []
    assert (found.wish.operation, found.wish.prompt) == (Operation.EDIT, "")


def test_images_keep_their_order_and_their_metadata() -> None:
    """The first image is the one that is edited, and each has the metadata that came with it."""
    request = edit(png(), png(shade=9), mask=png(shade=128))
    request.input.images[1].metadata["test"].update({"thought": "x", "n": 3})

    wish = decode(request, preview_default=0).wish

    assert [image.data for image in wish.images] == [png(), png(shade=9)]
    assert [image.metadata for image in wish.images] == [{}, {"test": {"thought": "x", "n": 3}}]
    assert wish.mask is not None
    assert wish.mask.data == png(shade=128)


def test_everything_else_of_an_edit_is_read_as_in_generate() -> None:
    """Strict, params and the default of previews are not lost beside images."""
    wish = decode(edit(png(), strict=True, params={"test": {"a": 1}}), preview_default=2).wish

    assert (wish.strict, wish.params, wish.preview_default) == (True, {"test": {"a": 1}}, 2)

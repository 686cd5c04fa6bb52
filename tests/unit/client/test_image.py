"""Images in and out of files, and what they are on the wire."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest
from imagegen import GeneratedImage, Image
from imagegen._image import MAX_IMAGE_BYTES, generated_image_from_proto, image_from_proto, image_to_source

from tests.unit.client.fake_server import facts, made, picture


def test_from_path_reads_the_file(tmp_path: Path) -> None:
    """The bytes are those of the file; its name gives no more than a hint."""
    file = tmp_path / "photo.jpeg"
    file.write_bytes(b"anything")

    image = Image.from_path(file)

    assert (image.bytes, image.media_type, image.size_bytes) == (b"anything", "image/jpeg", 8)
    assert image.sha256 == hashlib.sha256(b"anything").hexdigest()


@pytest.mark.parametrize("data", [b"", bytes(MAX_IMAGE_BYTES + 1)], ids=["empty", "too large"])
def test_bytes_that_cannot_be_sent_are_refused(data: bytes) -> None:
    """Nothing, and more than the API carries, is refused before anything is sent."""
    with pytest.raises(ValueError, match=r"empty|64 MiB"):
        Image.from_bytes(data)


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
def test_from_bytes_copies_buffers(data: bytearray | memoryview) -> None:
    """What is given in a buffer that may change is kept as it was."""
    image = Image.from_bytes(data)

    assert image.bytes == b"abc"
    assert isinstance(image.bytes, bytes)


def test_references_need_something_to_refer_to() -> None:
    """An empty URL or id is a mistake, seen at once."""
    with pytest.raises(ValueError, match="address"):
        Image.from_url("")
    with pytest.raises(ValueError, match="id"):
        Image.from_id("")


def test_images_are_immutable() -> None:
    """A fact cannot be changed afterwards."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Image.from_bytes(b"abc").media_type = "image/png"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (Image.from_id("img_1"), r"client\.read"),
        (Image.from_url("https://example.com/a.png"), "URL"),
        (Image(size_bytes=3), "without bytes"),
    ],
)
def test_missing_bytes_are_a_clear_error(image: Image, says: str) -> None:
    """Asking for bytes that are elsewhere says where they are and what to do."""
    assert not image.has_bytes
    with pytest.raises(ValueError, match=says):
        _ = image.bytes
    with pytest.raises(ValueError, match=says):
        image.data_url()
    with pytest.raises(ValueError, match=says):
        image.save("never")


def test_the_bytes_are_not_in_the_repr() -> None:
    """An image in a log line does not take megabytes with it."""
    assert "secret" not in repr(Image.from_bytes(b"secret"))


def test_data_url() -> None:
    """The form for HTML; without a type it is a plain byte stream."""
    assert Image.from_bytes(b"abc", media_type="image/png").data_url() == "data:image/png;base64,YWJj"
    assert Image.from_bytes(b"abc").data_url() == "data:application/octet-stream;base64,YWJj"


@pytest.mark.parametrize(
    ("media_type", "name", "expected"),
    [
        ("image/png", "harbour", "harbour.png"),
        ("image/jpeg", "harbour", "harbour.jpg"),
        ("image/webp", "harbour.png", "harbour.png"),
        ("application/octet-stream", "harbour", "harbour"),
        ("image/png", "v1.2", "v1.2"),
    ],
)
def test_save_completes_a_name_without_suffix(tmp_path: Path, media_type: str, name: str, expected: str) -> None:
    """A name without suffix gets the right one; any other is kept."""
    written = Image.from_bytes(b"abc", media_type=media_type).save(tmp_path / name)

    assert written == tmp_path / expected
    assert [file.name for file in tmp_path.iterdir()] == [expected]
    assert written.read_bytes() == b"abc"


def test_save_replaces_whole_and_keeps_the_mode(tmp_path: Path) -> None:
    """A file that is there is replaced in one step, with its permissions."""
    file = tmp_path / "a.png"
    file.write_bytes(b"old")
    file.chmod(0o640)

    Image.from_bytes(b"new").save(file)

    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o640


def test_save_obeys_the_umask(tmp_path: Path) -> None:
    """A new file has the permissions of any other new file."""
    plain = tmp_path / "plain"
    plain.write_bytes(b"")

    written = Image.from_bytes(b"abc").save(tmp_path / "a.png")

    assert written.stat().st_mode == plain.stat().st_mode


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new file cannot be written, the old one stays and nothing is left beside it."""
    file = tmp_path / "a.png"
    file.write_bytes(b"old")

    def full(_self: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        Image.from_bytes(b"new").save(file)

    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_save_follows_a_link(tmp_path: Path) -> None:
    """A link stays a link, and the file that it points to is replaced."""
    real, link = tmp_path / "real.png", tmp_path / "link.png"
    real.write_bytes(b"old")
    link.symlink_to(real)

    Image.from_bytes(b"new").save(link)

    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_save_writes_into_a_device() -> None:
    """A device is written to, not replaced by a file."""
    before = Path(os.devnull).stat()

    Image.from_bytes(b"abc", media_type="image/png").save(os.devnull)

    assert Path(os.devnull).stat().st_ino == before.st_ino


def test_facts_that_were_not_told_are_none() -> None:
    """Absent width, height and expiry are not zero."""
    proto = facts(b"abc")
    proto.ClearField("width")
    proto.ClearField("height")

    image = image_from_proto(proto)

    assert (image.width, image.height, image.expire_time, image.size_bytes) == (None, None, None, 3)


def test_expire_time_is_utc() -> None:
    """A time says which zone it is in."""
    proto = facts(b"abc")
    proto.expire_time.FromJsonString("2030-01-02T03:04:05Z")

    image = image_from_proto(proto)

    assert image.expire_time is not None
    assert image.expire_time.isoformat() == "2030-01-02T03:04:05+00:00"


def test_source_is_bytes_before_id_before_url() -> None:
    """What is here is sent; else what the server has; else where it is."""
    assert image_to_source(Image(data=b"abc", image_id="i", url="u")).WhichOneof("source") == "data"
    assert image_to_source(Image(image_id="i", url="u")).WhichOneof("source") == "image_id"
    assert image_to_source(Image(url="u")).WhichOneof("source") == "url"
    with pytest.raises(ValueError, match="no bytes, no id"):
        image_to_source(Image())


def test_a_result_goes_back_with_its_metadata() -> None:
    """What a provider said of an image is given back with its bytes, and not with its id."""
    proto = made(picture())
    proto.metadata["openai"].update({"thread": "t_1", "steps": [1, {"deep": None}]})
    image = generated_image_from_proto(proto, picture())

    assert image.metadata == {"openai": {"thread": "t_1", "steps": [1.0, {"deep": None}]}}
    assert dict(image_to_source(image).metadata["openai"])["thread"] == "t_1"
    assert not image_to_source(dataclasses.replace(image, data=None)).metadata
    assert isinstance(image, GeneratedImage)

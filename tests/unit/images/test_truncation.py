"""Files cut short are told from whole ones."""

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.images.facts import is_truncated
from PIL import Image

_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif", "AVIF": "image/avif"}


def _file(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((40, 30), 50).convert("RGB").save(file, kind, **options)
    return file.getvalue()


_FILES = {kind: _file(kind) for kind in _TYPES}


@pytest.mark.parametrize("kind", _TYPES)
def test_a_whole_file_is_not_truncated(kind: str) -> None:
    """No false alarm on sound files."""
    assert is_truncated(_FILES[kind], _TYPES[kind]) is False


@pytest.mark.parametrize("kind", _TYPES)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_cut_file_is_truncated(kind: str, share: float) -> None:
    """Wherever it is cut."""
    data = _FILES[kind]

    assert is_truncated(data[: int(len(data) * share)], _TYPES[kind]) is True


@pytest.mark.parametrize("kind", _TYPES)
def test_without_its_last_byte_it_is_truncated(kind: str) -> None:
    """A single byte is missed."""
    assert is_truncated(_FILES[kind][:-1], _TYPES[kind]) is True


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_more_behind_the_end_is_no_harm(kind: str) -> None:
    """Cameras and editors append things; the picture is whole all the same."""
    assert is_truncated(_FILES[kind] + b"appended" * 20_000, _TYPES[kind]) is False


def test_the_end_of_a_thumbnail_is_not_the_end() -> None:
    """A JPEG inside the metadata has an end marker of its own."""
    data = _file("JPEG", exif=b"Exif\0\0" + _FILES["JPEG"])

    assert is_truncated(data, "image/jpeg") is False
    assert is_truncated(data[: len(_FILES["JPEG"]) + 400], "image/jpeg") is True


def test_an_animated_gif_is_walked() -> None:
    """Frame after frame, also where the last byte looks like a trailer."""
    frames = [Image.new("P", (9, 9), shade) for shade in (1, 2)]
    data = _file("GIF", save_all=True, append_images=frames)

    assert is_truncated(data, "image/gif") is False
    assert is_truncated(data[:-20], "image/gif") is True


@pytest.mark.parametrize("media_type", ["image/bmp", "image/svg+xml", "application/octet-stream", ""])
def test_other_types_are_never_said_to_be_truncated(media_type: str) -> None:
    """Where nobody can say, the answer is no."""
    assert is_truncated(b"BM", media_type) is False


@given(st.binary(max_size=200), st.sampled_from([*_TYPES.values()]), st.sampled_from([b"", *_FILES.values()]))
def test_any_bytes_are_survived(data: bytes, media_type: str, start: bytes) -> None:
    """Nothing raises, whatever the bytes, whatever they are said to be."""
    is_truncated(start[:60] + data, media_type)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (_FILES["PNG"][:33] + b"\0\0\0\0teSt\0\0\0\0" * 700_000, "image/png"),
        (b"GIF89a\1\0\1\0\0\0\0" + b"\x21\xfe\1c\0" * 1_700_000, "image/gif"),
        (b"\xff\xd8" + b"\xff\xe0\0\2" * 2_000_000, "image/jpeg"),
        (b"\0\0\0\x10ftypavif\0\0\0\0" + b"\0\0\0\x08free" * 1_000_000, "image/avif"),
    ],
    ids=["png", "gif", "jpeg", "avif"],
)
def test_hostile_files_cost_little(data: bytes, media_type: str) -> None:
    """Megabytes of tiny blocks are given up on, and are not called truncated."""
    start = time.thread_time()

    assert is_truncated(data, media_type) is False
    assert time.thread_time() - start < 0.5

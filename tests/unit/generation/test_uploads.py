"""Uploads: what is checked before a piece is taken, and when all have come."""

import asyncio
import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.image import MAX_IMAGE_BYTES, ImageFacts
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import StoreSettings, Upload
from imagegen_server.generation.uploads import Uploads
from imagegen_server.store.memory import MemoryStore
from PIL import Image

from tests.support.pictures import encoded, noisy_png, png

CALLER = "me"
DIGEST = hashlib.sha256(png()).hexdigest()


def store_of() -> MemoryStore:
    """Make an empty store."""
    return MemoryStore(StoreSettings(), Ids())


async def send(uploads: Uploads, data: bytes, piece: int = 1024 * 1024) -> Upload:
    """Upload an image piece by piece; the last answer."""
    digest, there = hashlib.sha256(data).hexdigest(), Upload(0)
    for offset in range(0, len(data), piece):
        there = await uploads.add(CALLER, digest, len(data), offset, data[offset : offset + piece])
    return there


async def refused(uploads: Uploads, *request: object) -> list[str]:
    """Name the fields for which a piece is refused."""
    with pytest.raises(ImageError) as caught:
        await uploads.add(CALLER, *request)  # type: ignore[arg-type]  # given as sha256, size, offset, data
    assert (caught.value.reason, caught.value.billed) == (Reason.INVALID_REQUEST, Billed.NO)
    fields = [violation.field for violation in caught.value.violations]
    assert all(field in caught.value.message for field in fields)
    return fields


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_a_whole_upload_is_an_image(kind: str) -> None:
    """Its facts are read from the bytes, and it can be read by its id."""
    store = store_of()
    data = encoded(Image.new("RGB", (8, 6)), kind)

    there = await send(Uploads(store), data, piece=10)

    assert there.image is not None
    assert (there.committed_bytes, there.data) == (len(data), None)
    assert there.image.facts == ImageFacts(f"image/{kind.lower()}", 8, 6, alpha=False)
    assert (there.image.sha256, there.image.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert await store.get(CALLER, there.image.image_id) == (there.image, data)


async def test_a_part_says_how_much_is_there() -> None:
    """Without an image until the last piece; asking says the same."""
    uploads = Uploads(store_of())

    assert await uploads.add(CALLER, DIGEST, len(png()), 0, b"") == Upload(0)
    assert await uploads.add(CALLER, DIGEST, len(png()), 0, png()[:5]) == Upload(5)
    assert await uploads.add(CALLER, DIGEST, len(png()), 0, b"") == Upload(5)


@pytest.mark.parametrize(
    ("sha256", "size_bytes", "offset", "data", "fields"),
    [
        ("", 10, 0, b"1", ["sha256"]),
        (DIGEST.upper(), 10, 0, b"1", ["sha256"]),
        (DIGEST + "\n", 10, 0, b"1", ["sha256"]),
        (DIGEST[:-1], 10, 0, b"1", ["sha256"]),
        ("g" * 64, 0, 0, b"1", ["sha256", "size_bytes"]),
        (DIGEST, 0, 0, b"", ["size_bytes"]),
        (DIGEST, MAX_IMAGE_BYTES + 1, 0, b"1", ["size_bytes"]),
        (DIGEST, 10, 11, b"", ["offset"]),
        (DIGEST, 10, 0, b"12345678901", ["data"]),
        (DIGEST, 10, 10, b"1", ["data"]),
        (DIGEST, 10, 2**32 - 1, b"1", ["offset"]),
    ],
)
async def test_a_piece_that_cannot_be_right_is_refused(
    sha256: str, size_bytes: int, offset: int, data: bytes, fields: list[str]
) -> None:
    """Every field that is wrong is named, and nothing reaches the store."""
    store = store_of()

    assert await refused(Uploads(store), sha256, size_bytes, offset, data) == fields
    assert store.kept_bytes == 0


async def test_the_largest_image_may_be_begun() -> None:
    """64 MiB are taken, as a declaration; an offset at the end asks for nothing."""
    uploads = Uploads(store_of())

    assert await uploads.add(CALLER, DIGEST, MAX_IMAGE_BYTES, 0, b"1") == Upload(1)
    assert await uploads.add(CALLER, DIGEST, MAX_IMAGE_BYTES, MAX_IMAGE_BYTES, b"") == Upload(1)


async def test_bytes_with_another_sha256_are_dropped() -> None:
    """The field is named, nothing is kept, and the right bytes can be sent under the same name at once."""
    store = store_of()
    uploads = Uploads(store)

    assert await refused(uploads, DIGEST, len(png()), 0, png(shade=7)[: len(png())].ljust(len(png()), b"x")) == [
        "sha256"
    ]
    assert store.kept_bytes == 0
    assert (await send(uploads, png())).image is not None


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"<html>", "no image"), (encoded(Image.new("RGB", (8, 6)), "BMP"), "image/bmp"), (png()[:-5], "cut short")],
    ids=["html", "bmp", "cut short"],
)
async def test_what_is_no_image_is_dropped(data: bytes, said: str) -> None:
    """True bytes of something that no model can take are refused as an input would be."""
    store = store_of()

    with pytest.raises(ImageError, match=said) as caught:
        await send(Uploads(store), data)

    assert [violation.field for violation in caught.value.violations] == ["data"]
    assert store.kept_bytes == 0


async def test_a_large_image_is_taken_too() -> None:
    """One that is hashed beside the event loop comes out the same."""
    data = noisy_png(1300, 1300)
    assert len(data) > 4 * 1024 * 1024

    there = await send(Uploads(store_of()), data)

    assert there.image is not None
    assert there.image.sha256 == hashlib.sha256(data).hexdigest()


async def test_the_last_piece_twice_at_once_makes_one_image() -> None:
    """Both are told the same id, also while the bytes are being hashed."""
    store = store_of()
    uploads = Uploads(store)
    data = noisy_png(1300, 1300)
    digest = hashlib.sha256(data).hexdigest()
    await uploads.add(CALLER, digest, len(data), 0, data[:-10])

    answers = await asyncio.gather(
        *(uploads.add(CALLER, digest, len(data), len(data) - 10, data[-10:]) for _ in range(3))
    )

    assert len({answer.image.image_id for answer in answers if answer.image}) == 1
    assert all(answer.image for answer in answers)
    assert store.kept_bytes < 2 * len(data)


async def test_who_left_before_the_end_finds_it_whole() -> None:
    """The last piece has come but its sender has gone: asking finishes the upload."""
    store = store_of()
    await store.add_piece(CALLER, DIGEST, len(png()), 0, png())

    there = await Uploads(store).add(CALLER, DIGEST, len(png()), 0, b"")

    assert there.image is not None
    assert (await store.get(CALLER, there.image.image_id))[1] == png()


@given(
    cuts=st.lists(st.integers(0, len(png())), max_size=6), order=st.randoms(use_true_random=False), ask=st.booleans()
)
@settings(max_examples=80, deadline=None)
async def test_any_cut_in_any_order_with_repetitions_ends_in_the_same_image(
    cuts: list[int], order: object, ask: bool
) -> None:
    """Pieces that come too early or twice do no harm: who goes on where the answer says comes to the end."""
    uploads = Uploads(store_of())
    edges = sorted({0, len(png()), *cuts})
    pieces = [(start, png()[start:end]) for start, end in pairwise(edges)] * 2
    order.shuffle(pieces)  # type: ignore[attr-defined]  # hypothesis's Random
    images = set()
    committed = 0
    for offset, data in pieces:
        there = await uploads.add(CALLER, DIGEST, len(png()), offset, data)
        assert there.committed_bytes >= committed
        committed = there.committed_bytes
        images |= {there.image.image_id} if there.image else set()

    last = await uploads.add(CALLER, DIGEST, len(png()), committed, b"" if ask else png()[committed:])
    while last.image is None:
        last = await uploads.add(CALLER, DIGEST, len(png()), last.committed_bytes, png()[last.committed_bytes :])

    images.add(last.image.image_id)
    assert len(images) == 1
    assert (await uploads._store.get(CALLER, last.image.image_id))[1] == png()

"""UploadImage on the wire."""

import hashlib

import pytest
from imagegen.v1 import image_service_pb2
from imagegen_server.domain.errors import ImageError
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import StoreSettings
from imagegen_server.generation.uploads import Uploads
from imagegen_server.rpc.uploads import upload_image
from imagegen_server.store.memory import MemoryStore

from tests.support.pictures import png

DIGEST = hashlib.sha256(png()).hexdigest()


def piece(offset: int, data: bytes) -> image_service_pb2.UploadImageRequest:
    """Make a request with a piece."""
    return image_service_pb2.UploadImageRequest(sha256=DIGEST, size_bytes=len(png()), offset=offset, data=data)


async def test_pieces_and_their_answers() -> None:
    """How much is there, and facts, id and expiry once all of it is; never the bytes."""
    store = MemoryStore(StoreSettings(), Ids())
    uploads = Uploads(store)

    first = await upload_image(uploads, "me", piece(0, png()[:10]))
    asked = await upload_image(uploads, "me", piece(0, b""))
    last = await upload_image(uploads, "me", piece(10, png()[10:]))

    assert (first.committed_bytes, first.HasField("image")) == (10, False)
    assert asked == first
    assert last.committed_bytes == len(png())
    stored, _ = await store.get("me", last.image.image_id)
    assert last.image.expire_time.ToDatetime(stored.expire_time.tzinfo) == stored.expire_time
    assert (last.image.media_type, last.image.width, last.image.height) == ("image/png", 8, 8)
    assert (last.image.sha256, last.image.size_bytes, last.image.data) == (DIGEST, len(png()), b"")


async def test_callers_do_not_share_uploads() -> None:
    """What one has sent is not there for another."""
    uploads = Uploads(MemoryStore(StoreSettings(), Ids()))
    await upload_image(uploads, "me", piece(0, png()))

    assert (await upload_image(uploads, "you", piece(0, b""))).committed_bytes == 0


async def test_an_empty_request_names_what_it_needs() -> None:
    """Both required fields at once."""
    with pytest.raises(ImageError) as caught:
        await upload_image(Uploads(MemoryStore(StoreSettings(), Ids())), "me", image_service_pb2.UploadImageRequest())

    assert [violation.field for violation in caught.value.violations] == ["sha256", "size_bytes"]

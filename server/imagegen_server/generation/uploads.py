"""Uploads: images that callers put into the store in pieces, to use them by id."""

import re

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import MAX_IMAGE_BYTES

from .digest import sha256_of
from .inputs import read_input
from .store import ImageStore, Upload

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Uploads:
    """Takes pieces, and makes an image of them when all are there."""

    def __init__(self, store: ImageStore) -> None:
        """Be wired by the app."""
        self._store = store

    async def add(self, caller: str, sha256: str, size_bytes: int, offset: int, data: bytes) -> Upload:
        """Add a piece, or ask with no data how much is there. `image` of the answer is set when the upload is whole.

        A whole upload that is not what was said, or no image, is forgotten: it can be begun again.

        :raises ImageError: INVALID_REQUEST naming each field that is wrong; SERVER_BUSY
        """
        if wrong := _wrong(sha256, size_bytes, offset, len(data)):
            raise _invalid(wrong)
        there = await self._store.add_piece(caller, sha256, size_bytes, offset, data)
        if there.data is None:
            return there
        image = read_input(there.data, "data", wrong, {})
        if await sha256_of(there.data) != sha256:
            problem = f"is not that of the {size_bytes} bytes that came; begin again at offset 0"
            wrong = [Violation("sha256", problem)]
        if wrong:
            await self._store.drop_upload(caller, sha256)
            raise _invalid(wrong)
        return Upload(size_bytes, image=await self._store.finish_upload(caller, sha256, image.facts))


def _wrong(sha256: str, size_bytes: int, offset: int, length: int) -> list[Violation]:
    wrong = []
    if not _SHA256.fullmatch(sha256):
        wrong.append(Violation("sha256", "must be 64 lowercase hex digits: the SHA-256 of the whole image"))
    if not 1 <= size_bytes <= MAX_IMAGE_BYTES:
        wrong.append(Violation("size_bytes", f"must be 1 to {MAX_IMAGE_BYTES}: the length of the whole image"))
    elif offset > size_bytes:
        wrong.append(Violation("offset", f"is past the end of the image, which has {size_bytes} bytes"))
    elif offset + length > size_bytes:
        end = offset + length
        wrong.append(Violation("data", f"ends at {end}, but the image has {size_bytes} bytes"))
    return wrong


def _invalid(wrong: list[Violation]) -> ImageError:
    said = "; ".join(f"{violation.field}: {violation.description}" for violation in wrong)
    return ImageError(Reason.INVALID_REQUEST, said, violations=wrong)

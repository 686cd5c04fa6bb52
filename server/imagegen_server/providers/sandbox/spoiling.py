"""Image files made wrong, or longer, on purpose."""

import struct
import zlib

from imagegen_server.images.facts import read_facts

_CHUNK_FRAME = 12
"""Bytes of a PNG chunk without its content: length, type, checksum. IEND, the last chunk, is no more than that."""

_GARBAGE = b"This is no image. " * 228


def spoil(data: bytes, how: str) -> bytes:
    """Make a file wrong: "truncated" loses its last third, "garbage" is no image, "wrong-type" another type."""
    if how == "truncated":
        return data[: len(data) * 2 // 3]
    if how == "garbage":
        return _GARBAGE
    if how == "wrong-type":
        return _as_another_type(data)
    return data


def padded_png(data: bytes, length: int) -> bytes:
    """Bring a PNG to an exact length with a private chunk that every reader skips.

    :raises ValueError: the PNG is longer than that, or less than a chunk's frame (12 bytes) shorter
    """
    missing = length - len(data)
    if missing == 0:
        return data
    if missing < _CHUNK_FRAME:
        raise ValueError(f"a PNG of {len(data)} bytes cannot be brought to {length}")
    # Lowercase, lowercase, uppercase, lowercase: not critical, private, may be copied unread.
    kind = b"paDd"
    content = bytes(missing - _CHUNK_FRAME)
    crc = zlib.crc32(content, zlib.crc32(kind))
    return b"".join(
        (
            data[:-_CHUNK_FRAME],
            struct.pack(">I", len(content)),
            kind,
            content,
            struct.pack(">I", crc),
            data[-_CHUNK_FRAME:],
        )
    )


def _as_another_type(data: bytes) -> bytes:
    from imagegen_server.images.decoding import decode  # noqa: PLC0415 - Pillow on first use
    from imagegen_server.images.encoding import encode  # noqa: PLC0415

    facts = read_facts(data)
    return encode(decode(data), "png" if facts and facts.media_type == "image/jpeg" else "jpeg")

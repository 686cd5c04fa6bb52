"""The SHA-256 of images."""

import asyncio
import hashlib

_OFF_LOOP_BYTES = 4 * 1024 * 1024
"""From here on hashing would hold the event loop up for milliseconds."""


async def sha256_of(data: bytes) -> str:
    """Hash an image, in lower-case hex digits; a large one in a thread."""
    if len(data) < _OFF_LOOP_BYTES:
        return hashlib.sha256(data).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()

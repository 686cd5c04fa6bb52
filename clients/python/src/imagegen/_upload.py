"""Giving an image to the server in pieces, once for as many edits as wanted."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final

from imagegen._backoff import Backoff
from imagegen._connection import Connection
from imagegen._errors import ImageGenError, connection_broke, invalid_response
from imagegen._image import Image, image_from_proto
from imagegen._rpc import answer
from imagegen.v1 import image_service_pb2

PIECE_BYTES: Final = 786_432
"""Bytes of one piece: with what goes around it, it stays under the 1 MB that proxies take by default."""


async def upload(connection: Connection, image: Image, limit: float | None) -> Image:
    """A reference to `image` at the server, after giving it what it did not have yet, within `limit` seconds.

    Raises:
        ImageGenError: it could not be given.
        ValueError: the image has no bytes.
    """
    limit = connection.timeout(limit)
    upload = _Upload(connection, image, None if limit is None else time.monotonic() + limit)
    facts = image_from_proto((await upload.run()).image)
    if facts.sha256 != image.sha256 or not facts.image_id:
        raise invalid_response("the server told of another image than the one that was uploaded", free=True)
    return replace(
        image,
        media_type=facts.media_type,
        width=facts.width,
        height=facts.height,
        image_id=facts.image_id,
        expire_time=facts.expire_time,
        data=None,
    )


class _Upload:
    def __init__(self, connection: Connection, image: Image, deadline: float | None) -> None:
        self._connection = connection
        self._data = image.bytes
        self._sha256 = image.sha256
        self._deadline = deadline
        self._backoff = Backoff()

    async def run(self) -> image_service_pb2.UploadImageResponse:
        """Ask how much is there and send the rest; where the connection breaks, ask again."""
        answered = await self._send(b"", 0)
        while not answered.HasField("image"):
            offset = answered.committed_bytes
            if offset >= len(self._data):
                raise invalid_response("the server has the whole upload and tells of no image", free=True)
            answered = await self._send(self._data[offset : offset + PIECE_BYTES], offset)
            if answered.committed_bytes > offset:
                self._backoff.renew()
            elif not answered.HasField("image"):
                await self._wait(invalid_response("the server takes no more of the upload", free=True))
        return answered

    async def _send(self, data: bytes, offset: int) -> image_service_pb2.UploadImageResponse:
        while True:
            request = image_service_pb2.UploadImageRequest(
                sha256=self._sha256, size_bytes=len(self._data), offset=offset, data=data
            )
            limit = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            try:
                return await answer(
                    self._connection.call(self._connection.images.UploadImage, request, limit), free=True
                )
            except ImageGenError as error:
                if not connection_broke(error):
                    raise
                await self._wait(error)
            data, offset = b"", 0  # the piece may have arrived: ask

    async def _wait(self, error: ImageGenError) -> None:
        delay = self._backoff.next_delay()
        if delay is None:
            raise error
        await asyncio.sleep(
            delay if self._deadline is None else min(delay, max(0.0, self._deadline - time.monotonic()))
        )

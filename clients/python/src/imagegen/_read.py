"""Fetching the bytes of an image that the server keeps."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TypeVar

import grpc

from imagegen._assembly import ByteRun
from imagegen._connection import Connection
from imagegen._errors import ImageGenError, connection_broke, invalid_response
from imagegen._image import Image, image_from_proto
from imagegen._rpc import receive
from imagegen.v1 import image_pb2, image_service_pb2

_ImageT = TypeVar("_ImageT", bound=Image)


async def read_bytes(connection: Connection, image: _ImageT, limit: float | None) -> _ImageT:
    """The image with its bytes, within `limit` seconds; one that has them is returned as it is.

    Raises:
        ImageGenError: the bytes could not be had, or are not those that the image was told to have.
        ValueError: the image has neither bytes nor an id.
    """
    if image.has_bytes:
        return image
    if not image.image_id:
        raise ValueError("this image has no id by which the server could hand out its bytes")
    read = await _read_image(connection, image.image_id, limit)
    if image.sha256 and image.sha256 != read.sha256:
        raise invalid_response(f"other bytes came for image {image.image_id} than the server had told of", free=True)
    return replace(
        image,
        media_type=read.media_type,
        width=read.width,
        height=read.height,
        size_bytes=read.size_bytes,
        sha256=read.sha256,
        expire_time=read.expire_time,
        data=read.data,
    )


async def _read_image(connection: Connection, image_id: str, limit: float | None) -> Image:
    """Read an image by its id, checked against size and SHA-256. A stream that breaks is resumed once where it broke.

    Raises:
        ImageGenError: the image could not be had; IMAGE_NOT_FOUND if there is none of that id (any more).
    """
    limit = connection.timeout(limit)
    deadline = None if limit is None else time.monotonic() + limit
    reading = _Reading(connection, image_id)
    try:
        await reading.advance(limit)
    except ImageGenError as error:
        if not _broken(error):
            raise
        await reading.advance(None if deadline is None else max(0.0, deadline - time.monotonic()))
    return reading.image()


class _Reading:
    def __init__(self, connection: Connection, image_id: str) -> None:
        self._connection = connection
        self._image_id = image_id
        self._facts: image_pb2.Image | None = None
        self._run: ByteRun | None = None

    async def advance(self, limit: float | None) -> None:
        """Read from where the bytes end now to the end of the image."""
        offset = self._run.received if self._run is not None else 0
        request = image_service_pb2.ReadImageRequest(image_id=self._image_id, offset=offset)
        call = self._connection.call(self._connection.images.ReadImage, request, limit)
        try:
            while (piece := await receive(call, free=True)) is not None:
                self._take(piece)
        finally:
            call.cancel()

    def image(self) -> Image:
        """The whole image."""
        if self._facts is None or self._run is None:
            raise invalid_response(f"the server sent nothing of image {self._image_id}", free=True)
        return image_from_proto(self._facts, self._run.join())

    def _take(self, piece: image_service_pb2.ReadImageResponse) -> None:
        if self._run is None:
            self._facts = piece.image
            self._run = ByteRun(piece.image, free=True)
        elif piece.HasField("image") and self._facts is not None and piece.image.sha256 != self._facts.sha256:
            raise invalid_response(f"image {self._image_id} changed while it was read", free=True)
        if piece.data:
            self._run.append(piece.offset, piece.data)


def _broken(error: ImageGenError) -> bool:
    return error.code is grpc.StatusCode.UNAVAILABLE or connection_broke(error)

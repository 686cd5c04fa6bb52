"""UploadImage."""

from imagegen.v1 import image_service_pb2

from imagegen_server.generation.uploads import Uploads

from .boundary import note
from .encode import image_message


async def upload_image(
    uploads: Uploads, caller: str, request: image_service_pb2.UploadImageRequest
) -> image_service_pb2.UploadImageResponse:
    """Take a piece of an image, or tell how much of it is there.

    :raises ImageError: as Uploads.add
    """
    note(size_bytes=request.size_bytes, offset=request.offset, piece_bytes=len(request.data))
    there = await uploads.add(caller, request.sha256, request.size_bytes, request.offset, request.data)
    image = None if there.image is None else image_message(there.image)
    return image_service_pb2.UploadImageResponse(committed_bytes=there.committed_bytes, image=image)

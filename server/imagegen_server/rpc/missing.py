"""Methods that the API declares and this version does not have; the boundary answers UNIMPLEMENTED for them."""

from typing import NoReturn

from imagegen.v1 import image_service_pb2, image_service_pb2_grpc

from .boundary import Context


class MissingMethods(image_service_pb2_grpc.ImageServiceServicer):
    """The part of ImageService that is not built."""

    def Resume(self, request: image_service_pb2.ResumeRequest, context: Context) -> NoReturn:
        """Not in this version."""
        _refuse("Resume", request, context)

    async def Cancel(self, request: image_service_pb2.CancelRequest, context: Context) -> NoReturn:
        """Not in this version."""
        _refuse("Cancel", request, context)

    async def UploadImage(self, request: image_service_pb2.UploadImageRequest, context: Context) -> NoReturn:
        """Not in this version."""
        _refuse("UploadImage", request, context)

    async def Explain(self, request: image_service_pb2.ExplainRequest, context: Context) -> NoReturn:
        """Not in this version."""
        _refuse("Explain", request, context)


def _refuse(method: str, *_: object) -> NoReturn:
    raise NotImplementedError(f"{method} is not in this version of the server")

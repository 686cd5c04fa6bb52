"""All that a caller of a server hears, by plain stubs."""

from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import status_pb2
from imagegen.v1 import image_pb2, image_service_pb2, image_stream_pb2

from .server import Running


@dataclass
class Told:
    """All that a caller hears."""

    events: list[image_stream_pb2.ImageStreamEvent]
    error: grpc.aio.AioRpcError | None = None

    def of(self, kind: str) -> list[Any]:
        """The events of one kind."""
        return [getattr(event, kind) for event in self.events if event.WhichOneof("event") == kind]

    @property
    def result(self) -> image_pb2.ImageResult:
        """The last event."""
        (result,) = self.of("result")
        assert isinstance(result, image_pb2.ImageResult)
        return result

    @property
    def bytes(self) -> dict[tuple[int, int], bytes]:
        """Images and previews, put together from their pieces."""
        pieces: dict[tuple[int, int], list[bytes]] = {}
        for chunk in self.of("chunk"):
            pieces.setdefault((chunk.index, chunk.preview_number), []).append(chunk.data)
        return {image: b"".join(found) for image, found in pieces.items()}

    @property
    def order(self) -> list[str]:
        """What pictures and failures came, in which order."""
        return [
            f"{kind} {getattr(event, kind).index}"
            for event in self.events
            if (kind := str(event.WhichOneof("event"))) in {"preview", "complete", "failure"}
        ]

    def detail(self, kind: Any) -> Any:
        """One of the details of the error."""
        assert self.error is not None
        trailers = dict(self.error.trailing_metadata() or ())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        found = kind()
        for packed in status.details:
            if packed.Is(kind.DESCRIPTOR):
                packed.Unpack(found)
        return found


async def hear(server: Running, request: Any) -> Told:
    """Call the stream form, and keep everything."""
    edit = isinstance(request, image_service_pb2.EditRequest)
    call = server.images.StreamEdit(request) if edit else server.images.StreamGenerate(request)
    told = Told([])
    try:
        async for event in call:
            told.events.append(event)
    except grpc.aio.AioRpcError as error:
        told.error = error
    return told

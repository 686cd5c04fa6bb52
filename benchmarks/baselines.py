"""The two servers that the service is held against: same gRPC, options, allocator setting and sending form.

- `baselines.py echo`: hashes and sends a picture that it has in memory, and calls no provider. What gRPC itself costs.
- `baselines.py plain URL`: fetches it with httpx, json and base64, as one would first write it.

Both know no validation, log, store, limits or cancellation. They print one line that ends with their address.
"""

import asyncio
import base64
import hashlib
import sys
from collections.abc import AsyncIterator
from typing import Any, Protocol

import grpc
import httpx
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc, image_stream_pb2
from imagegen_server.generation.log import CHUNK_BYTES
from imagegen_server.http.allocator import keep_large_buffers
from imagegen_server.rpc.server import ListenSettings, channel_options
from pictures import SIZES, png

_IDS = tuple((f"imagegen-{kind}-id", f"{kind[:3]}_{'x' * 8}_{'y' * 26}") for kind in ("generation", "request"))
_Event = image_stream_pb2.ImageStreamEvent
_Context = grpc.aio.ServicerContext[Any, Any]


class _Source(Protocol):
    """Where an arm has its pictures from."""

    async def picture(self, prompt: str) -> bytes:
        """Get the picture that the prompt names."""


class _Echo:
    """Pictures in memory."""

    def __init__(self) -> None:
        self._pictures = {size.prompt: png(size) for size in SIZES}

    async def picture(self, prompt: str) -> bytes:
        return self._pictures[prompt]


class _Plain:
    """Pictures from the provider, the plain way."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.AsyncClient(base_url=base_url, headers={"Authorization": "Bearer bench"}, timeout=600)

    async def picture(self, prompt: str) -> bytes:
        request = {"model": "gpt-image-2", "prompt": prompt}
        response = await self._client.post("/images/generations", json=request)
        response.raise_for_status()
        return base64.b64decode(response.json()["data"][0]["b64_json"])


class _ImageService(image_service_pb2_grpc.ImageServiceServicer):
    """Sends pictures in the form of the service: ids in early metadata, sha256, facts; inline or as chunks."""

    def __init__(self, source: _Source) -> None:
        self._source = source

    async def Generate(self, request: image_service_pb2.GenerateRequest, context: _Context) -> image_pb2.ImageResult:
        await context.send_initial_metadata(_IDS)
        data = await self._source.picture(request.input.prompt)
        return _result(request.model, _generated(data, data))

    async def StreamGenerate(
        self, request: image_service_pb2.GenerateRequest, context: _Context
    ) -> AsyncIterator[_Event]:
        await context.send_initial_metadata(_IDS)
        started = image_stream_pb2.GenerationStarted(generation_id="gen", request_id="req", model=request.model)
        yield _Event(sequence=1, started=started)
        data = await self._source.picture(request.input.prompt)
        generated = _generated(data)
        yield _Event(sequence=2, complete=generated)
        sequence = 3
        for offset in range(0, len(data), CHUNK_BYTES):
            chunk = image_stream_pb2.ImageChunk(offset=offset, data=data[offset : offset + CHUNK_BYTES])
            yield _Event(sequence=sequence, chunk=chunk)
            sequence += 1
        yield _Event(sequence=sequence, result=_result(request.model, generated))


def _generated(data: bytes, inline: bytes = b"") -> image_pb2.GeneratedImage:
    sha256 = hashlib.sha256(data).hexdigest()
    image = image_pb2.Image(image_id="img", media_type="image/png", size_bytes=len(data), sha256=sha256, data=inline)
    return image_pb2.GeneratedImage(image=image)


def _result(model: str, generated: image_pb2.GeneratedImage) -> image_pb2.ImageResult:
    return image_pb2.ImageResult(generation_id="gen", request_id="req", model=model, images=[generated])


async def _serve(source: _Source) -> None:
    server = grpc.aio.server(options=channel_options(ListenSettings()))
    service = _ImageService(source)  # type: ignore[abstract]  # the other methods are not called
    image_service_pb2_grpc.add_ImageServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"{sys.argv[1]} serving on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    keep_large_buffers()
    asyncio.run(_serve(_Plain(sys.argv[2]) if sys.argv[1] == "plain" else _Echo()))

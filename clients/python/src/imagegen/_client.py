"""The asynchronous client: the one that does the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

import grpc

from imagegen._assembly import Assembler
from imagegen._catalogue import AsyncModelList, ModelInfo, get_model
from imagegen._connection import Connection
from imagegen._explain import PlannedCall
from imagegen._generation import Generation, Lifetime, cancel
from imagegen._image import Image
from imagegen._model import AsyncImageModel
from imagegen._options import CallSettings, DeliveryMode
from imagegen._read import read_bytes
from imagegen._request import check_delivery, delivery_to_proto, plain_wish
from imagegen._result import ImageResult
from imagegen._stream import AsyncImageStream
from imagegen._upload import upload
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc, model_service_pb2_grpc

if TYPE_CHECKING:
    from imagegen.v1.image_service_pb2_grpc import ImageServiceAsyncStub
    from imagegen.v1.model_service_pb2_grpc import ModelServiceAsyncStub

_ImageT = TypeVar("_ImageT", bound=Image)


class AsyncClient:
    """A connection to an imagegen server, for asyncio.

    It connects on first use and belongs to the event loop of that use. Use it as an async context manager, or await
    `aclose()`. `Client` is the same for code without an event loop.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        tls: bool | grpc.ChannelCredentials = False,
        token: str | None = None,
        timeout: float | None = None,
        metadata: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        """Decide where to connect and how; nothing is sent yet.

        Args:
            address: "host:port", or any gRPC target that begins with its scheme. None = the environment variable
                IMAGEGEN_ADDRESS, else "127.0.0.1:50051".
            tls: True = TLS with gRPC's default roots; credentials of `grpc.ssl_channel_credentials` for roots or a
                client certificate of your own. False = clear text.
            token: sent with every call as `authorization: Bearer`, over TLS or to this machine only.
            timeout: seconds for each call that has no limit of its own. None = as long as it takes.
            metadata: asked before each call, for metadata that goes with it. Calls of the stubs go without.

        Raises:
            ValueError: the address is a URL or has no port, or the token would travel in clear text beyond this
                machine.
        """
        self._connection = Connection(address, tls=tls, token=token, timeout=timeout, metadata=metadata)

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._connection.address

    @property
    def images_stub(self) -> ImageServiceAsyncStub:
        """The generated stub of the image service, on this client's channel and with its token."""
        return image_service_pb2_grpc.ImageServiceStub(self._connection.open_channel())

    @property
    def models_stub(self) -> ModelServiceAsyncStub:
        """The generated stub of the model service, on this client's channel and with its token."""
        return model_service_pb2_grpc.ModelServiceStub(self._connection.open_channel())

    async def __aenter__(self) -> Self:
        """Use the client in a block that closes it at its end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        await self.aclose()

    async def aclose(self) -> None:
        """Stop every call and close the connection. More than once is fine."""
        await self._connection.close()

    def image(self, model: str, **settings: Unpack[CallSettings]) -> AsyncImageModel:
        """Bind a model with what holds for all of its calls.

        Args:
            model: "provider/model", or an alias of the server's configuration.
            settings: as in `CallSettings`: `params`, `options` and the wishes by name, `strict`, `delivery`, `timeout`.

        Raises:
            ValueError, TypeError: a setting that there is not, or a `request_id`: that is the name of one call.
        """
        if settings.get("request_id"):
            raise ValueError("a request_id is the name of one call: give it to the call, not to the model")
        return AsyncImageModel(self._connection, plain_wish(model).with_settings(settings))

    async def generate(self, model: str, prompt: str, **settings: Unpack[CallSettings]) -> ImageResult:
        """Draw with a model: short for `image(model).generate(prompt)`."""
        return await self.image(model).generate(prompt, **settings)

    def stream(self, model: str, prompt: str, **settings: Unpack[CallSettings]) -> AsyncImageStream:
        """Draw with a model and watch: short for `image(model).stream(prompt)`."""
        return self.image(model).stream(prompt, **settings)

    async def edit(
        self,
        model: str,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> ImageResult:
        """Change a picture with a model: short for `image(model).edit(prompt, image=...)`."""
        return await self.image(model).edit(prompt, image=image, images=images, mask=mask, **settings)

    def stream_edit(
        self,
        model: str,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> AsyncImageStream:
        """Change a picture with a model and watch: short for `image(model).stream_edit(prompt, image=...)`."""
        return self.image(model).stream_edit(prompt, image=image, images=images, mask=mask, **settings)

    async def read(self, image: _ImageT, *, timeout: float | None = None) -> _ImageT:  # noqa: ASYNC109 - a gRPC deadline
        """Fetch the bytes of an image that was delivered by reference; one that has its bytes is returned as it is.

        Raises:
            ImageGenError: as in `read_image`; INVALID_RESPONSE also if the bytes are not the ones told of.
            ValueError: the image has neither bytes nor an id.
        """
        return await read_bytes(self._connection, image, timeout)

    async def read_image(self, image_id: str, *, timeout: float | None = None) -> Image:  # noqa: ASYNC109 - as above
        """Fetch an image by its id. A read that breaks off is resumed once where it broke.

        Raises:
            ImageGenError: IMAGE_NOT_FOUND; INVALID_RESPONSE if size or SHA-256 are wrong; or the way to the server.
            ValueError: `image_id` is empty.
        """
        return await read_bytes(self._connection, Image.from_id(image_id), timeout)

    async def upload(self, image: Image, *, timeout: float | None = None) -> Image:  # noqa: ASYNC109 - as above
        """Give an image to the server once, for as many edits as wanted; only what it does not have yet is sent.

        Returns:
            A reference, good in `edit` until `expire_time`. It is without bytes: keep `image` for these.

        Raises:
            ImageGenError: it could not be given, or is no image.
            ValueError: the image has no bytes.
        """
        return await upload(self._connection, image, timeout)

    def resume(
        self,
        generation_id: str | None = None,
        *,
        request_id: str | None = None,
        after_sequence: int = 0,
        delivery: DeliveryMode = "inline",
        timeout: float | None = None,
    ) -> AsyncImageStream:
        """Read a generation that runs or has ended, to the same end; where the connection breaks, it is read on.

        Leaving this stream does not stop the generation, `abort()` does.

        Args:
            generation_id: the server's id for it.
            request_id: your own id for it. Exactly one of the two.
            after_sequence: `last_sequence` of the stream that was left. 0 = everything. With another number, images
                whose beginning was before it are in the result without their bytes: `read` fetches them.
            delivery: "inline" or "reference", as in a call. The sequence numbers are the same for both.
            timeout: seconds until reading is given up. None = that of the client.

        Raises:
            ValueError: not exactly one id, or a delivery that there is not. What the server says is raised by the
                stream: GENERATION_NOT_FOUND, RESULT_EXPIRED, WRONG_INSTANCE, or why the generation failed.
        """
        request = image_service_pb2.ResumeRequest(
            after_sequence=after_sequence, delivery=delivery_to_proto(check_delivery(delivery))
        )
        _name(request, generation_id, request_id)
        generation = Generation(self._connection, request, timeout, Lifetime(resumable=True, shared=True))
        return AsyncImageStream(generation, Assembler(chunked=delivery == "inline", whole=after_sequence == 0))

    async def cancel(
        self,
        generation_id: str | None = None,
        *,
        request_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> bool:
        """Stop a generation, whoever reads it. Its finished images are kept; the provider may bill what it has begun.

        Args:
            generation_id: the server's id for it.
            request_id: your own id for it. Exactly one of the two.
            timeout: seconds. None = that of the client.

        Returns:
            True: it was running and is stopped. False: it had ended already.

        Raises:
            ImageGenError: GENERATION_NOT_FOUND, WRONG_INSTANCE, or the server could not be told.
            ValueError: not exactly one id.
        """
        request = image_service_pb2.CancelRequest()
        _name(request, generation_id, request_id)
        return await cancel(self._connection, request, timeout)

    async def explain(self, model: str, prompt: str, **settings: Unpack[CallSettings]) -> tuple[PlannedCall, ...]:
        """What `generate` would do: short for `image(model).explain(prompt)`."""
        return await self.image(model).explain(prompt, **settings)

    async def explain_edit(
        self,
        model: str,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> tuple[PlannedCall, ...]:
        """What `edit` would do: short for `image(model).explain_edit(prompt, image=...)`."""
        return await self.image(model).explain_edit(prompt, image=image, images=images, mask=mask, **settings)

    def models(self, provider: str | None = None, *, timeout: float | None = None) -> AsyncModelList:
        """The models that the caller may use, ordered by name, as an async iterable.

        Args:
            provider: only those of this provider, by its name in the server's configuration. None = all.
            timeout: seconds for each page.
        """
        return AsyncModelList(self._connection, provider or "", timeout)

    async def model(self, name: str, *, timeout: float | None = None) -> ModelInfo:  # noqa: ASYNC109 - as above
        """One model, or the first candidate of an alias.

        Raises:
            ImageGenError: MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
        """
        return await get_model(self._connection, name, timeout)


def _name(
    request: image_service_pb2.ResumeRequest | image_service_pb2.CancelRequest,
    generation_id: str | None,
    request_id: str | None,
) -> None:
    if bool(generation_id) == bool(request_id):
        raise ValueError("say which generation: by generation_id or by request_id")
    if generation_id:
        request.generation_id = generation_id
    else:
        request.request_id = request_id or ""

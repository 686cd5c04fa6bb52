"""The client for code without an event loop: the asynchronous one, run in a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

import grpc

from imagegen._catalogue import AsyncModelList, Capabilities, ModelInfo, UnreachableProvider
from imagegen._client import AsyncClient
from imagegen._events import ImageEvent
from imagegen._image import Image
from imagegen._loop_thread import LoopThread
from imagegen._model import AsyncImageModel
from imagegen._options import CallSettings, ImageOptions
from imagegen._params import Params
from imagegen._result import ImageResult
from imagegen._stream import AsyncImageStream

_T = TypeVar("_T")
_ImageT = TypeVar("_ImageT", bound=Image)


class ImageStream:
    """A generation that runs, as `AsyncImageStream`: iterate it for events, call `result()` for the whole.

    It runs whether or not anybody reads. The end of a `with` block stops it, and so does `abort()`.
    """

    def __init__(self, thread: LoopThread, stream: AsyncImageStream) -> None:
        """Wrap. Streams are made by the client and its models."""
        self._thread = thread
        self._stream = stream

    @property
    def generation_id(self) -> str:
        """The server's id for it, for support. Empty until the `Started` event was read."""
        return self._stream.generation_id

    def __enter__(self) -> Self:
        """Use the stream in a block that stops it at its end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the generation if it still runs."""
        self.close()

    def __iter__(self) -> Self:
        """Iterate the events; a second iteration goes on where the first one stopped."""
        return self

    def __next__(self) -> ImageEvent:
        """The next event. Raises as `AsyncImageStream.__anext__`, with StopIteration at the end."""
        event = self._thread.run(_next(self._stream))
        if event is None:
            raise StopIteration
        return event

    def result(self) -> ImageResult:
        """Wait for the end and return what came of it. Raises as `AsyncImageStream.result`."""
        return self._thread.run(self._stream.result())

    def abort(self) -> None:
        """Stop the generation at once, from any thread. No event follows; waiting calls raise CANCELLED."""
        self._thread.run(self._stream.abort())

    def close(self) -> None:
        """Leave the stream: stop the generation if it still runs."""
        self._thread.run(self._stream.aclose())


async def _next(items: AsyncIterator[_T]) -> _T | None:
    # The end as a value: StopAsyncIteration does not pass through a future.
    return await anext(items, None)


class ImageModel:
    """A model with what holds for all of its calls, as `AsyncImageModel`; made by `Client.image`."""

    def __init__(self, thread: LoopThread, model: AsyncImageModel) -> None:
        """Wrap. Models are made by the client."""
        self._thread = thread
        self._model = model

    @property
    def model(self) -> str:
        """As it was asked for: "provider/model", or an alias of the server's configuration."""
        return self._model.model

    @property
    def params(self) -> Params:
        """The provider's own parameters that every call carries."""
        return self._model.params

    @property
    def options(self) -> ImageOptions:
        """The portable wishes that every call carries."""
        return self._model.options

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do. Asked of the server once, then remembered. Raises as the asynchronous method."""
        return self._thread.run(self._model.capabilities())

    def generate(self, prompt: str, **settings: Unpack[CallSettings]) -> ImageResult:
        """Draw, and wait for the end. Raises as `AsyncImageModel.generate`; an interrupt stops the generation."""
        return self._thread.run(self._model.generate(prompt, **settings))

    def stream(self, prompt: str, **settings: Unpack[CallSettings]) -> ImageStream:
        """Draw, and tell and show how it goes. The generation begins at once."""
        return ImageStream(self._thread, self._thread.call(lambda: self._model.stream(prompt, **settings)))

    def edit(
        self,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> ImageResult:
        """Change a picture, and wait for the end. Arguments and errors as in `AsyncImageModel.edit`."""
        return self._thread.run(self._model.edit(prompt, image=image, images=images, mask=mask, **settings))

    def stream_edit(
        self,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> ImageStream:
        """Change a picture as `edit` does, and tell and show how it goes, as `stream` does."""
        stream = self._thread.call(
            lambda: self._model.stream_edit(prompt, image=image, images=images, mask=mask, **settings)
        )
        return ImageStream(self._thread, stream)


class ModelList:
    """The models that the caller may use, as `AsyncModelList`. Each iteration asks the server anew."""

    def __init__(self, thread: LoopThread, models: AsyncModelList) -> None:
        """Wrap. Lists are made by the client."""
        self._thread = thread
        self._models = models

    @property
    def unreachable(self) -> tuple[UnreachableProvider, ...]:
        """Providers whose models are missing from the pages read so far. Known from the first model on."""
        return self._models.unreachable

    def __iter__(self) -> Iterator[ModelInfo]:
        """Each model. Raises as `AsyncModelList.__aiter__`."""
        models = aiter(self._models)
        try:
            while (model := self._thread.run(_next(models))) is not None:
                yield model
        finally:
            self._thread.run(models.aclose())


class Client:
    """A connection to an imagegen server, for code without an event loop. Any thread may use it, also several at once.

    It runs `AsyncClient` in a thread of its own. Use it as a context manager, or call `close()`. An interrupt (Ctrl-C)
    in a call stops what the call had begun.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        tls: bool | grpc.ChannelCredentials = False,
        token: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Decide where to connect and how; nothing is sent yet. Arguments and errors as in `AsyncClient`."""
        self._client = AsyncClient(address, tls=tls, token=token, timeout=timeout)
        self._thread = LoopThread()

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._client.address

    def __enter__(self) -> Self:
        """Use the client in a block that closes it at its end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Stop every call, close the connection and end the thread. More than once is fine."""
        if self._thread.running:
            self._thread.run(self._client.aclose())
            self._thread.close()

    def image(self, model: str, **settings: Unpack[CallSettings]) -> ImageModel:
        """Bind a model with what holds for all of its calls. Arguments and errors as in `AsyncClient.image`."""
        return ImageModel(self._thread, self._client.image(model, **settings))

    def generate(self, model: str, prompt: str, **settings: Unpack[CallSettings]) -> ImageResult:
        """Draw with a model: short for `image(model).generate(prompt)`."""
        return self.image(model).generate(prompt, **settings)

    def stream(self, model: str, prompt: str, **settings: Unpack[CallSettings]) -> ImageStream:
        """Draw with a model and watch: short for `image(model).stream(prompt)`."""
        return self.image(model).stream(prompt, **settings)

    def edit(
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
        return self.image(model).edit(prompt, image=image, images=images, mask=mask, **settings)

    def stream_edit(
        self,
        model: str,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> ImageStream:
        """Change a picture with a model and watch: short for `image(model).stream_edit(prompt, image=...)`."""
        return self.image(model).stream_edit(prompt, image=image, images=images, mask=mask, **settings)

    def read(self, image: _ImageT, *, timeout: float | None = None) -> _ImageT:
        """Fetch the bytes of an image that was delivered by reference. Raises as `AsyncClient.read`."""
        return self._thread.run(self._client.read(image, timeout=timeout))

    def read_image(self, image_id: str, *, timeout: float | None = None) -> Image:
        """Fetch an image by its id. Raises as `AsyncClient.read_image`."""
        return self._thread.run(self._client.read_image(image_id, timeout=timeout))

    def models(self, provider: str | None = None, *, timeout: float | None = None) -> ModelList:
        """The models that the caller may use, ordered by name, as an iterable. Arguments as in `AsyncClient.models`."""
        return ModelList(self._thread, self._client.models(provider, timeout=timeout))

    def model(self, name: str, *, timeout: float | None = None) -> ModelInfo:
        """One model, or the first candidate of an alias. Raises as `AsyncClient.model`."""
        return self._thread.run(self._client.model(name, timeout=timeout))

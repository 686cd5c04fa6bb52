"""The client for code without an event loop: the asynchronous one, run in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

import grpc

from imagegen._catalogue import AsyncModelList, ModelInfo, UnreachableProvider
from imagegen._client import AsyncClient
from imagegen._explain import PlannedCall
from imagegen._image import Image
from imagegen._loop_thread import LoopThread, next_of
from imagegen._options import CallSettings, DeliveryMode
from imagegen._result import ImageResult
from imagegen._sync_model import ImageModel, ImageStream, start_stream

_ImageT = TypeVar("_ImageT", bound=Image)


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
            while (model := self._thread.run(next_of(models))) is not None:
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
        metadata: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        """Decide where to connect and how; nothing is sent yet. Arguments and errors as in `AsyncClient`."""
        self._client = AsyncClient(address, tls=tls, token=token, timeout=timeout, metadata=metadata)
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
        bound = self._client.image(model, **settings)
        silent: CallSettings = {**settings, "preview_count": bound.options.preview_count or 0}
        quiet = self._client.image(model, **silent)
        return ImageModel(self._thread, bound, quiet)

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

    def upload(self, image: Image, *, timeout: float | None = None) -> Image:
        """Give an image to the server once, for as many edits as wanted. As `AsyncClient.upload`."""
        return self._thread.run(self._client.upload(image, timeout=timeout))

    def resume(
        self,
        generation_id: str | None = None,
        *,
        request_id: str | None = None,
        after_sequence: int = 0,
        delivery: DeliveryMode = "inline",
        timeout: float | None = None,
    ) -> ImageStream:
        """Read a generation that runs or has ended, to the same end. As `AsyncClient.resume`."""
        return start_stream(
            self._thread,
            lambda: self._client.resume(
                generation_id,
                request_id=request_id,
                after_sequence=after_sequence,
                delivery=delivery,
                timeout=timeout,
            ),
        )

    def cancel(
        self,
        generation_id: str | None = None,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Stop a generation; whether it was still running. As `AsyncClient.cancel`."""
        return self._thread.run(self._client.cancel(generation_id, request_id=request_id, timeout=timeout))

    def explain(self, model: str, prompt: str, **settings: Unpack[CallSettings]) -> tuple[PlannedCall, ...]:
        """What `generate` would do: short for `image(model).explain(prompt)`."""
        return self.image(model).explain(prompt, **settings)

    def explain_edit(
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
        return self.image(model).explain_edit(prompt, image=image, images=images, mask=mask, **settings)

    def models(self, provider: str | None = None, *, timeout: float | None = None) -> ModelList:
        """The models that the caller may use, ordered by name, as an iterable. Arguments as in `AsyncClient.models`."""
        return ModelList(self._thread, self._client.models(provider, timeout=timeout))

    def model(self, name: str, *, timeout: float | None = None) -> ModelInfo:
        """One model, or the first candidate of an alias. Raises as `AsyncClient.model`."""
        return self._thread.run(self._client.model(name, timeout=timeout))

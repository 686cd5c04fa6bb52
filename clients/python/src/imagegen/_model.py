"""An image model, bound with its parameters: the object in the middle of the interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from imagegen._assembly import Assembler
from imagegen._catalogue import Capabilities, get_model
from imagegen._connection import Connection
from imagegen._explain import PlannedCall, explain
from imagegen._generation import Generation
from imagegen._image import Image
from imagegen._options import CallSettings, ImageOptions
from imagegen._params import Params
from imagegen._request import Wish, with_handle
from imagegen._result import ImageResult
from imagegen._stream import AsyncImageStream
from imagegen.v1 import image_service_pb2


class AsyncImageModel:
    """A model with parameters, options and settings that hold for all of its calls; made by `AsyncClient.image`.

    Every call takes the settings of `CallSettings` by name; what a call says goes before what the model was bound
    with. Parameters are joined key by key.
    """

    def __init__(self, connection: Connection, wish: Wish) -> None:
        """Bind. Models are made by the client."""
        self._connection = connection
        self._wish = wish
        self._capabilities: Capabilities | None = None

    @property
    def model(self) -> str:
        """As it was asked for: "provider/model", or an alias of the server's configuration."""
        return self._wish.model

    @property
    def params(self) -> Params:
        """The provider's own parameters that every call carries."""
        return self._wish.params

    @property
    def options(self) -> ImageOptions:
        """The portable wishes that every call carries."""
        return self._wish.options

    async def capabilities(self) -> Capabilities:
        """What the model can do. Asked of the server once, then remembered.

        Raises:
            ImageGenError: MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
        """
        if self._capabilities is None:
            self._capabilities = (await get_model(self._connection, self.model, self._wish.timeout)).capabilities
        return self._capabilities

    async def generate(self, prompt: str, **settings: Unpack[CallSettings]) -> ImageResult:
        """Draw, and wait for the end. Cancelling this leaves the generation as `AsyncImageStream` says: it is stopped.

        Raises:
            ImageGenError: no image came. If some did and others failed, that is no error: see `ImageResult.failures`.
            ValueError: an option or parameter that cannot be carried; nothing was sent.
            TypeError: a setting that there is not, or a parameter that is not JSON; nothing was sent.
        """
        async with self._generate(prompt, self._wish.with_settings(settings).without_previews()) as stream:
            return await stream.result()

    def stream(self, prompt: str, **settings: Unpack[CallSettings]) -> AsyncImageStream:
        """Draw, and tell and show how it goes. The generation begins at once; call this in a running event loop.

        Raises:
            ValueError, TypeError: as in `generate`. What the server says is raised by the stream.
        """
        return self._generate(prompt, self._wish.with_settings(settings))

    async def edit(
        self,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> ImageResult:
        """Change a picture, and wait for the end. Cancelling this is as in `generate`.

        Args:
            prompt: what to change. May be empty where the model edits without words.
            image: the picture to change.
            images: more of them, as references. Without `image` the first of these is changed.
            mask: what may change: where it is transparent or, if it has no transparency, white.
            settings: as in `CallSettings`.

        Raises:
            ImageGenError, ValueError, TypeError: as in `generate`; ValueError also for an image that has no source.
        """
        wish = self._wish.with_settings(settings).without_previews()
        async with self._edit(prompt, image, images, mask, wish) as stream:
            return await stream.result()

    def stream_edit(
        self,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> AsyncImageStream:
        """Change a picture as `edit` does, and tell and show how it goes, as `stream` does."""
        return self._edit(prompt, image, images, mask, self._wish.with_settings(settings))

    async def explain(self, prompt: str, **settings: Unpack[CallSettings]) -> tuple[PlannedCall, ...]:
        """What `generate` would do with the same arguments, without doing it and without cost.

        Returns:
            The provider calls in the order in which they would be tried: the first one is made, the others follow
            only if it fails.

        Raises:
            ImageGenError, ValueError, TypeError: as in `generate`, for a request that would be refused.
        """
        wish = self._wish.with_settings(settings).without_previews()
        return await explain(self._connection, wish.generate(prompt), wish.timeout)

    async def explain_edit(
        self,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> tuple[PlannedCall, ...]:
        """What `edit` would do with the same arguments, as `explain`."""
        wish = self._wish.with_settings(settings).without_previews()
        return await explain(self._connection, wish.edit(prompt, _given(image, images), mask), wish.timeout)

    def _generate(self, prompt: str, wish: Wish) -> AsyncImageStream:
        return self._start(wish.generate(prompt), wish)

    def _edit(
        self, prompt: str, image: Image | None, images: Sequence[Image], mask: Image | None, wish: Wish
    ) -> AsyncImageStream:
        return self._start(wish.edit(prompt, _given(image, images), mask), wish)

    def _start(
        self, request: image_service_pb2.GenerateRequest | image_service_pb2.EditRequest, wish: Wish
    ) -> AsyncImageStream:
        lifetime = wish.lifetime
        with_handle(request, lifetime)
        generation = Generation(self._connection, request, wish.timeout, lifetime)
        return AsyncImageStream(generation, Assembler(chunked=wish.chunked))


def _given(image: Image | None, images: Sequence[Image]) -> list[Image]:
    return [*([] if image is None else [image]), *images]

"""A model and a running generation for code without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from imagegen._catalogue import Capabilities
from imagegen._errors import ImageGenError
from imagegen._events import ImageEvent
from imagegen._explain import PlannedCall
from imagegen._image import Image
from imagegen._loop_thread import LoopThread, next_of
from imagegen._model import AsyncImageModel
from imagegen._options import CallSettings, ImageOptions
from imagegen._params import Params
from imagegen._result import ImageResult
from imagegen._stream import AsyncImageStream

_T = TypeVar("_T")


class ImageStream:
    """A generation that runs, as `AsyncImageStream`: iterate it for events, call `result()` for the whole.

    It runs whether or not anybody reads. `abort()` stops it, and so does an interrupt (Ctrl-C) in a call of it or in
    its `with` block. The end of the block leaves it, as `AsyncImageStream` says.
    """

    def __init__(self, thread: LoopThread, stream: AsyncImageStream) -> None:
        """Wrap. Streams are made by the client and its models."""
        self._thread = thread
        self._stream = stream

    @property
    def generation_id(self) -> str:
        """The server's id for it, for `resume`, `cancel` and support. Empty until something was received."""
        return self._stream.generation_id

    @property
    def request_id(self) -> str:
        """The id of the wish, good for the same. Empty if none was sent and `Started` was not received."""
        return self._stream.request_id

    @property
    def last_sequence(self) -> int:
        """Where the generation's log was read to: `after_sequence` for a `resume` that goes on from here."""
        return self._stream.last_sequence

    def __enter__(self) -> Self:
        """Use the stream in a block that leaves it at its end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the stream; after an interrupt, stop the generation."""
        if isinstance(error, KeyboardInterrupt):
            self._stop(error)
        else:
            self.close()

    def __iter__(self) -> Self:
        """Iterate the events; a second iteration goes on where the first one stopped."""
        return self

    def __next__(self) -> ImageEvent:
        """The next event. Raises as `AsyncImageStream.__anext__`, with StopIteration at the end."""
        event = self._run(next_of(self._stream))
        if event is None:
            raise StopIteration
        return event

    def result(self) -> ImageResult:
        """Wait for the end and return what came of it. Raises as `AsyncImageStream.result`."""
        return self._run(self._stream.result())

    def abort(self) -> None:
        """Stop the generation at once, from any thread. No event follows; waiting calls raise CANCELLED.

        Raises:
            ImageGenError: the server could not be told, so the generation may run on.
        """
        self._thread.run(self._stream.abort())

    def close(self) -> None:
        """Leave the stream: read no more and, unless it was meant to go on without its reader, stop the generation."""
        self._thread.run(self._stream.aclose())

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            return self._thread.run(work)
        except KeyboardInterrupt as interrupt:
            self._stop(interrupt)
            raise

    def _stop(self, interrupt: KeyboardInterrupt) -> None:
        try:
            self.abort()
        except ImageGenError as error:
            interrupt.add_note(f"the generation {self.generation_id or self.request_id} may run on: {error}")


def start_stream(thread: LoopThread, start: Callable[[], AsyncImageStream]) -> ImageStream:
    """Begin a generation; an interrupt that comes while it begins stops it."""
    begun: list[ImageStream] = []
    try:
        thread.call(lambda: begun.append(ImageStream(thread, start())))
    except KeyboardInterrupt as interrupt:
        for stream in begun:
            stream.__exit__(KeyboardInterrupt, interrupt, None)
        raise
    return begun[0]


class ImageModel:
    """A model with what holds for all of its calls, as `AsyncImageModel`; made by `Client.image`."""

    def __init__(self, thread: LoopThread, model: AsyncImageModel, quiet: AsyncImageModel) -> None:
        """Wrap `model`, and the same without previews. Models are made by the client."""
        self._thread = thread
        self._model = model
        self._quiet = quiet

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
        return self._whole(lambda: self._quiet.stream(prompt, **settings))

    def stream(self, prompt: str, **settings: Unpack[CallSettings]) -> ImageStream:
        """Draw, and tell and show how it goes. The generation begins at once."""
        return self._start(lambda: self._model.stream(prompt, **settings))

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
        return self._whole(lambda: self._quiet.stream_edit(prompt, image=image, images=images, mask=mask, **settings))

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
        return self._start(lambda: self._model.stream_edit(prompt, image=image, images=images, mask=mask, **settings))

    def explain(self, prompt: str, **settings: Unpack[CallSettings]) -> tuple[PlannedCall, ...]:
        """What `generate` would do, without doing it and without cost. As `AsyncImageModel.explain`."""
        return self._thread.run(self._model.explain(prompt, **settings))

    def explain_edit(
        self,
        prompt: str,
        *,
        image: Image | None = None,
        images: Sequence[Image] = (),
        mask: Image | None = None,
        **settings: Unpack[CallSettings],
    ) -> tuple[PlannedCall, ...]:
        """What `edit` would do, as `explain`."""
        return self._thread.run(self._model.explain_edit(prompt, image=image, images=images, mask=mask, **settings))

    def _start(self, start: Callable[[], AsyncImageStream]) -> ImageStream:
        return start_stream(self._thread, start)

    def _whole(self, start: Callable[[], AsyncImageStream]) -> ImageResult:
        return self._start(start).result()

"""Pictures of one colour: a whole provider for imagegen in one file.

Install it beside the server (`pip install ./examples/provider`), and models of `swatch` are there:

    [providers.swatch]
    side = 256
"""

import io
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.events import Complete, Progress, ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import PixelSize, Task
from imagegen_server.providers.base import Call, Provider, ProviderType
from PIL import Image, ImageColor

_MODEL = Model(
    id="plain",
    display_name="One colour",
    capabilities=Capabilities(
        generate=True,
        streaming=False,
        edit=False,
        mask=False,
        max_images=1,
        previews=PreviewSupport.NONE,
        options=frozenset({"size"}),
    ),
)


@dataclass(frozen=True, slots=True)
class SwatchSettings:
    """Keys of the provider's table. `side`: width and height in pixels where the caller asks for no size."""

    side: int = 256


class SwatchProvider(Provider):
    """Draws what the prompt names: a colour name, "#rrggbb", or "hsl(120, 50%, 50%)"."""

    def __init__(self, name: str, settings: SwatchSettings) -> None:
        """Stand under `name` in the configuration."""
        self._name = name
        self._settings = settings

    def model(self, model_id: str) -> Model:
        """There is one."""
        return _MODEL if model_id == _MODEL.id else Model(model_id, _MODEL.capabilities, known=False)

    async def models(self) -> Sequence[Model]:
        """There is one."""
        return [_MODEL]

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """Refuse what cannot be drawn, before anything is spent."""
        if task.model != _MODEL.id:
            raise ImageError(Reason.MODEL_NOT_FOUND, f"{self._name} has no model {task.model!r}; it has {_MODEL.id}")
        try:
            ImageColor.getrgb(task.prompt.strip())
        except ValueError:
            problem = 'names no colour; write "teal" or "#008080"'
            raise ImageError(
                Reason.INVALID_REQUEST, f"input.prompt {problem}", violations=[Violation("input.prompt", problem)]
            ) from None
        return task, ()

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Draw. A provider on the network sends its request here: see remote.py."""
        call.accepted("")
        yield Progress(message="mixing the paint")
        size = task.options.size or PixelSize(self._settings.side, self._settings.side)
        file = io.BytesIO()
        Image.new("RGB", (size.width, size.height), ImageColor.getrgb(task.prompt.strip())).save(file, "PNG")
        yield Complete(index=0, data=file.getvalue())


PROVIDER = ProviderType(name="swatch", settings=SwatchSettings, build=SwatchProvider)

"""What is set up of a ComfyUI server: the user's own workflows, and what the built-in graphs do unless asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from .workflow import Workflow

PreviewMethod = Literal["auto", "latent2rgb", "taesd"]

USUAL: Mapping[str, int | float | str] = {
    "width": 1024,
    "height": 1024,
    "steps": 20,
    "cfg": 7.0,
    "sampler_name": "euler",
    "scheduler": "normal",
    "denoise": 0.75,
}
"""What the built-in graphs draw with. `denoise` is how much of the input picture an edit without a mask changes."""


@dataclass(frozen=True, slots=True)
class WorkflowSettings:
    """A workflow that shows as a model: a file in the API format, and which input of which node is what.

    `fields` names inputs as "6.inputs.text", or several that get the same value: `prompt`, `negative_prompt`, `seed`,
    `width`, `height`, `batch_size`, `image`, `image2` and so on, `mask`; any other name is a param of that name. If
    there are none, they are found by the classes of the nodes. `output` is the node whose pictures are meant; "" = any.
    `max_images` of one prompt where there is a `batch_size`; None = as the provider says.

    :raises ValueError: names the file, the node and the input that is wrong
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    file: str
    fields: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    output: str = ""
    max_images: int | None = None

    def __post_init__(self) -> None:
        """Read the file, so that what is wrong is found before anybody asks."""
        if self.max_images is not None and self.max_images < 1:
            raise ValueError("max_images: at least 1")
        self.read()

    def read(self) -> "Workflow":
        """Read the file.

        :raises ValueError: as above
        """
        from .workflow import read_workflow  # noqa: PLC0415 - only a table with a workflow needs it

        return read_workflow(self.file, self.fields, self.output)


@dataclass(frozen=True, slots=True)
class ComfyUISettings:
    """The keys of the table.

    `workflows` are models by the names they have here. `checkpoints`: every checkpoint that the server has is a model,
    too, drawn with by the built-in graphs, which `defaults` changes: width, height, steps, cfg, sampler_name,
    scheduler, denoise. `max_images` is the most that one prompt makes. `preview_method` is how the server makes
    previews. `save_images` False = the built-in graphs leave no pictures in the server's output folder.

    :raises ValueError: a value cannot be used
    """

    workflows: Mapping[str, WorkflowSettings] = field(default_factory=dict)
    checkpoints: bool = True
    defaults: Mapping[str, int | float | str] = field(default_factory=dict)
    max_images: int = 4
    preview_method: PreviewMethod = "auto"
    save_images: bool = True

    def __post_init__(self) -> None:
        """Check what would otherwise fail with the first request."""
        if self.max_images < 1:
            raise ValueError("max_images: at least 1")
        if not self.checkpoints and not self.workflows:
            raise ValueError("checkpoints: without them there are no models, unless workflows has some")
        if "" in self.workflows:
            raise ValueError("workflows: a workflow has a name")
        for name, value in self.defaults.items():
            if name not in USUAL:
                raise ValueError(f"defaults: {name!r} is none; there are {', '.join(USUAL)}")
            kinds = {int: int, float: int | float, str: str}[type(USUAL[name])]
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise ValueError(f"defaults.{name}: must be like {USUAL[name]!r}")  # noqa: TRY004 - pydantic

"""Models: the workflows of the table by their names, and each checkpoint of the server, by the built-in graphs."""

from collections.abc import Mapping, Sequence

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.task import Operation, Task

from . import graphs
from .settings import USUAL, ComfyUISettings
from .workflow import Workflow


class Models:
    """What one server can draw with."""

    def __init__(self, settings: ComfyUISettings) -> None:
        """Read the workflows. Of checkpoints none is known before the server was asked."""
        self.checkpoints = settings.checkpoints
        self.usual = {**USUAL, **settings.defaults}
        self._drawing = graphs.drawing(settings, self.usual)
        self._editing = graphs.editing(settings, self.usual)
        self._masking = graphs.masking(settings, self.usual)
        self._workflows = {name: told.read() for name, told in settings.workflows.items()}
        self._most = {name: told.max_images or settings.max_images for name, told in settings.workflows.items()}
        self._able = Capabilities(
            generate=True,
            streaming=True,
            edit=True,
            max_images=settings.max_images,
            max_input_images=1,
            mask=True,
            previews=PreviewSupport.IMAGES,
            options=frozenset({"size", "seed", "negative_prompt"}),
        )
        self._listed: tuple[str, ...] = ()

    def listed(self, checkpoints: Sequence[str]) -> None:
        """Remember what the server has."""
        self._listed = tuple(dict.fromkeys(checkpoints))

    def all(self) -> list[Model]:
        """List what is known. A workflow goes before a checkpoint of its name."""
        return [self.find(name) for name in dict.fromkeys((*self._workflows, *self._listed))]

    def find(self, model_id: str) -> Model:
        """Tell what is known of any id."""
        if workflow := self._workflows.get(model_id):
            return Model(model_id, _able(workflow, self._most[model_id]))
        return Model(model_id, self._able, known=model_id in self._listed)

    def is_workflow(self, model_id: str) -> bool:
        """Tell whether an id is that of a workflow."""
        return model_id in self._workflows

    def workflow_of(self, task: Task) -> Workflow:
        """Choose what is run for a task."""
        if workflow := self._workflows.get(task.model):
            return workflow
        if task.operation is Operation.GENERATE:
            return self._drawing
        return self._masking if task.mask is not None else self._editing


def _able(workflow: Workflow, most_images: int) -> Capabilities:
    """Tell what a workflow can do by the fields that it has."""
    fields: Mapping[str, object] = workflow.fields
    images = len(workflow.image_fields)
    options = {name for name in ("seed", "negative_prompt") if name in fields}
    options |= {"size"} if {"width", "height"} <= set(fields) else set()
    return Capabilities(
        generate=not images,
        streaming=True,
        edit=bool(images),
        max_images=most_images if "batch_size" in fields else 1,
        max_input_images=images or None,
        mask=bool(images) and "mask" in fields,
        previews=PreviewSupport.IMAGES if workflow.samplers else PreviewSupport.UNKNOWN,
        edits_without_words="prompt" not in fields,
        options=frozenset(options),
    )

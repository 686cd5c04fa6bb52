"""The provider: one request to /images/generations or /images/edits."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Operation, Task
from imagegen_server.http.client import Answer, HttpClient
from imagegen_server.http.form import form_of

from .dialect import OPENAI
from .images_api import ImagesApi, bearer
from .models import PARAM_OPTIONS, family_of, find_model, living_models
from .request import alpha_mask, fields_of, files_of, fitted
from .settings import OpenAISettings

CONTROLLED_PARAMS = frozenset({"model", "prompt", "stream", "image", "image[]", "images", "mask", "response_format"})


class OpenAI(ImagesApi):
    """Draws and edits by the Images API."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = CONTROLLED_PARAMS

    def __init__(self, name: str, settings: OpenAISettings) -> None:
        """Take the configured name and the settings."""
        super().__init__(name, OPENAI)
        self._headers = {
            header: value
            for header, value in (
                ("OpenAI-Organization", settings.organization),
                ("OpenAI-Project", settings.project),
            )
            if value
        }

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models that the vendor has not ended. Its own list (GET /models) lacks image models that work."""
        return living_models(datetime.now(UTC))

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(task, family_of(task.model), known=find_model(task.model).known, vendor=OPENAI.vendor)

    def images_per_request(self, task: Task) -> int:
        """See Provider."""
        return 1 if alone_in_its_request(task) else super().images_per_request(task)

    async def exchange(self, task: Task, http: HttpClient, key: str) -> AbstractAsyncContextManager[Answer]:
        """See ImagesApi."""
        headers = self._headers | bearer(key)
        fields = fields_of(task, family_of(task.model))
        if task.operation is Operation.GENERATE:
            return http.post_json("/images/generations", fields, headers)
        files = files_of(task, await self.mask_of(task, alpha_mask))
        return http.post_form("/images/edits", form_of(fields), files, headers)


def alone_in_its_request(task: Task) -> bool:
    """Tell whether only one image fits: a stream's events do not say of which they are, and SVG is drawn singly."""
    return task.preview_count > 0 or task.options.format == "svg"

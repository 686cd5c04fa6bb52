"""The provider: one request, as the switches of its server say, and what comes back."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Task
from imagegen_server.http.client import Answer, HttpClient
from imagegen_server.http.form import form_of
from imagegen_server.http.whole_answer import read_list
from imagegen_server.providers.openai.errors import error_of_answer
from imagegen_server.providers.openai.images_api import ImagesApi, bearer

from .dialect import dialect_of
from .models import capabilities_of, declared_model, listed_ids
from .request import fields_of, files_of, fitted, images_in_json, mask_as
from .settings import CompatibleSettings, Switches

_MOST_LIST_BYTES = 16 * 1024 * 1024
_CONTROLLED = frozenset({"model", "prompt", "stream", "response_format"})


class OpenAICompatible(ImagesApi):
    """Draws and edits by one server."""

    def __init__(self, name: str, settings: CompatibleSettings) -> None:
        """Take the configured name and the settings."""
        switches = settings.switches()
        options = param_options(switches)
        super().__init__(name, dialect_of(name, switches, options))
        # They differ from server to server.
        vars(self).update(param_options=options, controlled_params=controlled_params(switches))
        self._switches = switches
        self._usual = capabilities_of(switches)
        named = {**switches.models, **settings.models}
        self._declared = {model_id: declared_model(model_id, said, self._usual) for model_id, said in named.items()}
        self._listed: Mapping[str, Model] = {}

    def model(self, model_id: str) -> Model:
        """See Provider. The table goes first, then what the server last listed."""
        known = self._declared.get(model_id) or self._listed.get(model_id)
        return known or Model(model_id, self._usual, known=False)

    async def models(self) -> Sequence[Model]:
        """List what the table declares, and what the server last listed."""
        return list({**self._listed, **self._declared}.values())

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the models of `GET /models`, if the server has that, besides those that the table declares.

        :raises ImageError: what the server said, or what happened to the connection
        """
        if not self._switches.list_models:
            return await self.models()
        secret = key.reveal() if key else ""
        async with http.get("/models", bearer(secret)) as answer:
            context = self.context(http, answer, "", secret)
            error_of = partial(error_of_answer, dialect=self._dialect)
            ids = await read_list(answer, context, error_of, listed_ids, most_bytes=_MOST_LIST_BYTES)
        self._listed = {model_id: Model(model_id, self._usual) for model_id in ids}
        return await self.models()

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(task, self._switches, self._name)

    def images_per_request(self, task: Task) -> int:
        """See Provider. The events of a stream do not say to which image they belong."""
        if task.preview_count > 0:
            return 1
        most = super().images_per_request(task)
        return min(most, self._switches.mask_max_images or most) if task.mask else most

    async def exchange(self, task: Task, http: HttpClient, key: str) -> AbstractAsyncContextManager[Answer]:
        """See ImagesApi."""
        switches, fields, headers = self._switches, fields_of(task, self._switches), bearer(key)
        if task.operation is Operation.GENERATE:
            return http.post_json("/images/generations", fields, headers)
        masked = task.mask is not None
        mask = await self.mask_of(task, partial(mask_as, switches=switches))
        path = (switches.mask_path or switches.edit_path) if masked else switches.edit_path
        if switches.way_of_edit(masked=masked) == "json":
            return http.post_json(path, {**fields, **images_in_json(task, mask, switches)}, headers)
        return http.post_form(path, form_of(fields), files_of(task, mask, switches), headers)


def param_options(switches: Switches) -> Mapping[str, str]:
    """Name the fields that say what an option says, by that option."""
    named = {field: option for option, field in switches.options.items()} | {"n": "count"}
    named |= {"size": "size"} if switches.size == "size" else {}
    return named | ({"partial_images": "preview_count"} if switches.streaming else {})


def controlled_params(switches: Switches) -> frozenset[str]:
    """Name the fields that the adapter must set itself."""
    images = {switches.image_field, switches.images_field, switches.mask_image_field, switches.mask_field}
    return _CONTROLLED | (images - {""}) | frozenset(switches.body)

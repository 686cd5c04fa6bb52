"""The provider: OpenAI's Images API at the address of a resource or of a deployment."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Operation, Task
from imagegen_server.http.client import Answer, HttpClient
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.form import form_of
from imagegen_server.providers.openai.images_api import ImagesApi, bearer
from imagegen_server.providers.openai.models import PARAM_OPTIONS, Family, family_of
from imagegen_server.providers.openai.provider import CONTROLLED_PARAMS, alone_in_its_request
from imagegen_server.providers.openai.request import alpha_mask, fields_of, files_of, fitted

from .dialect import AZURE
from .entra import EntraTokens
from .models import find_deployment
from .settings import EXTRA, AzureSettings, identity_installed


class Azure(ImagesApi):
    """Draws and edits by the deployments of one resource."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = CONTROLLED_PARAMS

    def __init__(self, name: str, settings: AzureSettings) -> None:
        """Take the configured name and the settings.

        :raises ValueError: they want tokens, and what gets them is not installed
        """
        if settings.credential == "entra" and not identity_installed():
            raise ValueError(f'credential = "entra" needs azure-identity, which is not installed: install {EXTRA}')
        super().__init__(name, AZURE)
        self._settings = settings
        self._tokens = EntraTokens(settings.scope) if settings.credential == "entra" else None

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_deployment(model_id, self._settings.deployments)

    async def models(self) -> Sequence[Model]:
        """List the deployments that the settings name: with a key nobody is told which there are."""
        return [self.model(name) for name in self._settings.deployments]

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        known = self.model(task.model).known
        return fitted(task, self._family(task), known=known, vendor=AZURE.vendor)

    def images_per_request(self, task: Task) -> int:
        """See Provider."""
        return 1 if alone_in_its_request(task) else super().images_per_request(task)

    async def exchange(self, task: Task, http: HttpClient, key: str) -> AbstractAsyncContextManager[Answer]:
        """See ImagesApi."""
        fields = fields_of(task, self._family(task))
        sign = self._tokens.headers if self._tokens else None
        if task.operation is Operation.GENERATE:
            return http.post_json(self._path(task, "generations"), fields, self._headers(key), sign)
        files = files_of(task, await self.mask_of(task, alpha_mask))
        return http.post_form(self._path(task, "edits"), form_of(fields), files, self._headers(key), sign)

    def context(self, http: HttpClient, answer: Answer, prompt: str, key: str) -> ErrorContext:
        """See ImagesApi. A token is no more repeated than a key."""
        context = super().context(http, answer, prompt, key)
        return replace(context, key=self._tokens.last) if self._tokens else context

    async def close(self) -> None:
        """See Provider."""
        if self._tokens:
            await self._tokens.close()

    def _family(self, task: Task) -> Family:
        return family_of(self._settings.deployments.get(task.model, task.model))

    def _path(self, task: Task, what: str) -> str:
        of = f"/deployments/{quote(task.model, safe='')}" if self._settings.url_style == "deployments" else ""
        return f"{of}/images/{what}{self._settings.query}"

    def _headers(self, key: str) -> dict[str, str]:
        match self._settings.credential:
            case "key":
                return {"api-key": key} if key else {}
            case "token":
                return bearer(key)
            case _:
                # A key that is there all the same is not meant for this.
                return {}

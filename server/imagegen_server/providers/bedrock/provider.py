"""The provider: one request to /model/{id}/invoke, and what comes back."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer, HttpClient, Unsigned
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.providers.accepted import accepted_events
from imagegen_server.providers.base import Call, Provider
from imagegen_server.providers.stability.family import PARAM_OPTIONS

from .answer import read_answer
from .errors import error_of_answer
from .listing import control_plane, image_models
from .models import find_model, known_models
from .request import body_of, fitted, path_of
from .settings import EXTRA, BedrockSettings, signer_installed
from .signing import Signer


class Access:
    """How one request proves who asks: by the key, or by a signature if there is none."""

    def __init__(self, http: HttpClient, key: Secret | None, signer: Signer) -> None:
        """Ask nobody yet."""
        self._http = http
        self._key = key.reveal() if key else ""
        self._signer = signer
        self._signed: tuple[str, ...] = ()
        self.headers = {"accept": "application/json"} | ({"authorization": f"Bearer {self._key}"} if self._key else {})
        self.sign = None if self._key else self._sign

    async def _sign(self, unsigned: Unsigned) -> Mapping[str, str]:
        proof = await self._signer.headers(unsigned)
        # The time stays in messages, for whoever has a wrong clock.
        self._signed = tuple(value for name, value in proof.items() if name != "x-amz-date")
        return proof

    def context(self, provider: str, answer: Answer, prompt: str = "") -> ErrorContext:
        """Tell with what an error is read; what proved who asks, a session's token included, is in no message."""
        hidden = (*self._http.header_values, *self._signed)
        return ErrorContext(
            provider, self._http.host, answer.status, answer.headers, prompt, self._key, hidden, "x-amzn-requestid"
        )


class Bedrock(Provider):
    """Draws and edits by InvokeModel."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = frozenset(
        {"prompt", "image", "init_image", "style_image", "mask", "mode"}
    )

    def __init__(self, name: str, settings: BedrockSettings) -> None:
        """Take the configured name; nobody is asked for credentials before the first request.

        :raises ValueError: a profile needs what is not installed
        """
        if settings.profile and not signer_installed():
            raise ValueError(f"profile needs botocore, which is not installed: install {EXTRA}")
        self._name = name
        self._signer = Signer(settings.region, settings.profile)
        self._listed: Mapping[str, Model] = {}

    def model(self, model_id: str) -> Model:
        """See Provider. What the vendor's list last said counts."""
        return self._listed.get(model_id) or find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models that the vendor has not ended, as far as they are known here."""
        return known_models()

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List what ListFoundationModels and ListInferenceProfiles tell of Stability's models.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        there = control_plane(http)
        access = Access(there, key, self._signer)
        models = await image_models(
            there, access.headers, access.sign, lambda answer: access.context(self._name, answer)
        )
        self._listed = {model.id: model for model in models}
        return models

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(self._name, task)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Send the task, and read the answer.

        :raises ImageError: what the vendor said, what happened to the connection, or that there are no credentials
        """
        assert call.http is not None
        access = Access(call.http, call.key, self._signer)
        body = await body_of(task)
        async with call.http.post_json(path_of(task.model), body, access.headers, access.sign) as answer:
            context = access.context(self._name, answer, task.prompt)
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            accepted = accepted_events(read_answer(context, answer), call, lambda: context.request_id)
            async with aclosing(accepted) as events:
                async for event in events:
                    yield event

    async def close(self) -> None:
        """See Provider."""
        self._signer.close()

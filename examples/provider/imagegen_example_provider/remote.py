"""A provider that is reached by HTTP with a key, in one file.

The vendor is made up:

    POST /pictures  {"prompt": "...", "size": "640x480"}  ->  {"picture": "<base64>"}

and an error is {"code": "..."}. The server reads the address and the key, from the environment (DARKROOM_API_KEY) or

    [providers.darkroom]
    base_url = "http://127.0.0.1:8080/v1"
    api_key = {file = "/run/secrets/darkroom"}
"""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer
from imagegen_server.http.image_json import EncodedImage, parse_image_json
from imagegen_server.http.retry_after import retry_after
from imagegen_server.http.status import reason_of, surely_refused
from imagegen_server.providers.base import Call, Provider, ProviderType, Remote

_OK = 200
_MOST_ERROR_BYTES = 65_536
_MODEL = Model(
    id="still",
    display_name="A still",
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
_REASONS = {"indecent": Reason.CONTENT_FILTERED, "no_credit": Reason.QUOTA_EXCEEDED}
"""What the vendor's own codes mean; they say more than its statuses."""


@dataclass(frozen=True, slots=True)
class DarkroomSettings:
    """Keys of the table besides those of every remote provider. `studio`: whom the vendor bills; "" = its default."""

    studio: str = ""


class DarkroomProvider(Provider):
    """Asks the vendor for one picture at a time."""

    def __init__(self, name: str, settings: DarkroomSettings) -> None:
        """Stand under `name` in the configuration."""
        self._name = name
        self._settings = settings

    def model(self, model_id: str) -> Model:
        """Let every id pass: the vendor may have more than this file knows."""
        return _MODEL if model_id == _MODEL.id else Model(model_id, _MODEL.capabilities, known=False)

    async def models(self) -> Sequence[Model]:
        """There is one."""
        return [_MODEL]

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Send the request and read the answer. Leaving the block early, as a cancelled call does, hangs up."""
        assert call.http is not None
        assert call.key is not None
        headers = {"Authorization": f"Bearer {call.key.reveal()}"}
        if self._settings.studio:
            headers["X-Studio"] = self._settings.studio
        body: dict[str, JsonValue] = {"model": task.model, "prompt": task.prompt, **task.params}
        if task.options.size:
            body["size"] = str(task.options.size)
        async with call.http.post_json("/pictures", body, headers) as answer:
            if answer.status != _OK:
                raise await self._refusal(answer)
            call.accepted(answer.headers.get("x-request-id", ""))
            # Strings under these keys stay where they were received until `decode`: a picture is copied once.
            content = parse_image_json(await answer.read(), frozenset({"picture"}))
        picture = content.get("picture") if isinstance(content, dict) else None
        if not isinstance(picture, EncodedImage):
            raise ImageError(Reason.INVALID_RESPONSE, f"{self._name} sent no picture")
        yield Complete(index=0, data=picture.decode())

    async def _refusal(self, answer: Answer) -> ImageError:
        """Read an error. Its words are left out: vendors repeat prompts and keys in them."""
        try:
            code = str(json.loads(await answer.read(_MOST_ERROR_BYTES))["code"])
        except (ImageError, ValueError, LookupError, TypeError):
            code = ""
        return ImageError(
            _REASONS.get(code) or reason_of(answer.status),
            f"{self._name} answered {answer.status} {code}".rstrip(),
            billed=Billed.NO if surely_refused(answer.status) else None,
            http_status=answer.status,
            provider_code=code,
            provider_request_id=answer.headers.get("x-request-id", ""),
            retry_after=retry_after(answer.headers),
        )


PROVIDER = ProviderType(
    name="darkroom",
    settings=DarkroomSettings,
    build=DarkroomProvider,
    remote=Remote(base_url="https://darkroom.example/v1", key_env="DARKROOM_API_KEY"),
)

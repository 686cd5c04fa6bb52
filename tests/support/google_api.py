"""A fake of the Gemini API on a loopback port, as strict as the published interface about what image models take.

The official `google-genai` package is held against it in tests/providers/google.
"""

import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from .openai_wire import picture
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, event_answer, json_answer, running

KEY = "AIza-test-key"
MODELS = ("gemini-3-pro-image", "gemini-3.1-flash-image", "gemini-nano-banana-2.1")
RATIOS = frozenset(
    ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1"]
)
SIZES = frozenset(["512", "1K", "2K", "4K"])

_PATH = re.compile(r"/v1beta/models/([^/:]+):(generateContent|streamGenerateContent)")
_TOP = frozenset(["contents", "generationConfig", "safetySettings", "systemInstruction", "tools"])
_CONFIG = frozenset(
    ["responseModalities", "imageConfig", "seed", "thinkingConfig", "temperature", "topP", "topK", "candidateCount"]
)
_SNAKE = re.compile(r"_([a-z])")


def camel(value: Any) -> Any:
    """Write every name as protobuf's JSON does: it reads both forms, and the vendor's package sends both."""
    if isinstance(value, dict):
        return {_SNAKE.sub(lambda found: found[1].upper(), name): camel(item) for name, item in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def error(code: int, status: str, message: str, *details: Mapping[str, Any]) -> dict[str, Any]:
    """Write a google.rpc.Status as the vendor does."""
    return {"error": {"code": code, "message": message, "status": status, **({"details": details} if details else {})}}


class FakeGoogle(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say."""

    top = _TOP
    image_config = frozenset(["aspectRatio", "imageSize"])
    """Fields of GenerateContentRequest and of ImageConfig that there are."""

    def __init__(self, prefix: str = "/v1beta") -> None:
        """Know one key."""
        super().__init__(prefix)
        self._numbers = count(1)

    def check_access(self, call: RecordedRequest) -> None:
        """Look at who asks.

        :raises RefusalError: nobody who may
        """
        check_key(call)

    def listed(self, call: RecordedRequest) -> dict[str, Any] | None:
        """List the models, if that is what is asked for."""
        return models_body() if call.method == "GET" and call.path == "/v1beta/models" else None

    def method(self, call: RecordedRequest) -> str:
        """Tell which method of a model is called.

        :raises RefusalError: none that there is
        """
        found = _PATH.fullmatch(call.path)
        if found is None or call.method != "POST":
            raise RefusalError(404, error(404, "NOT_FOUND", "Requested entity was not found."))
        if found[1] not in MODELS:
            message = f"models/{found[1]} is not found for API version v1beta, or is not supported for generateContent."
            raise RefusalError(404, error(404, "NOT_FOUND", message))
        return found[2]

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        self.check_access(call)
        if (models := self.listed(call)) is not None:
            return json_answer(200, {} if checks_only else models)
        method = self.method(call)
        body = camel(call.json)
        self._check(body)
        if checks_only:
            return json_answer(200, {})
        number = next(self._numbers)
        if method == "generateContent":
            return json_answer(200, response(body, number))
        if call.query != "alt=sse":
            return json_answer(200, [response(body, number)])
        return event_answer(*(event(piece) for piece in stream(body, number)))

    def _check(self, body: dict[str, Any]) -> None:
        config = body.get("generationConfig", {})
        image = config.get("imageConfig", {})
        for field, given, known in (
            ("", body, self.top),
            ("generation_config", config, _CONFIG),
            ("generation_config.image_config", image, self.image_config),
        ):
            for name in sorted(given.keys() - known):
                where = f" at '{field}'" if field else ""
                raise refused(field, f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')
        if image.get("aspectRatio", "1:1") not in RATIOS:
            raise refused("generation_config.image_config.aspect_ratio", "Invalid value for aspect ratio.")
        if image.get("imageSize", "1K") not in SIZES:
            raise refused("generation_config.image_config.image_size", "Invalid value for image size.")
        self.check_contents(body.get("contents"))

    def check_contents(self, contents: Any) -> None:
        """Look at the conversation.

        :raises RefusalError: it is none
        """
        if not contents:
            raise refused("contents", "contents is not specified")
        if contents[-1].get("role", "user") != "user":
            raise refused("contents", "Please ensure that multiturn requests end with a user role.")
        for position, turn in enumerate(contents, start=1):
            for place, part in enumerate(turn["parts"], start=1):
                if "fileData" in part and not part["fileData"].get("fileUri"):
                    raise refused("contents", "Invalid or unsupported file uri.")
                inline = part.get("inlineData")
                if inline is None:
                    continue
                base64.b64decode(inline["data"].replace("-", "+").replace("_", "/"), validate=True)
                if turn.get("role") == "model" and "thoughtSignature" not in part:
                    where = f"content position {position}, part position {place}"
                    raise refused("contents", f"Image part is missing a thought_signature in {where}.")


def check_key(call: RecordedRequest) -> None:
    """Look at the key.

    :raises RefusalError: there is none, or another
    """
    given = call.headers.get("x-goog-api-key", "")
    if not given:
        message = "Method doesn't allow unregistered callers (callers without established identity)."
        raise RefusalError(403, error(403, "PERMISSION_DENIED", message))
    if given != KEY:
        reason = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }
        message = "API key not valid. Please pass a valid API key."
        raise RefusalError(400, error(400, "INVALID_ARGUMENT", message, reason))


def refused(field: str, message: str) -> RefusalError:
    """Refuse a request for one field."""
    violation = {"field": field, "description": message}
    details = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    return RefusalError(400, error(400, "INVALID_ARGUMENT", message, details))


def image_part(shade: int = 0, kind: str = "png", **more: Any) -> dict[str, Any]:
    """Write a part with a small picture."""
    data = base64.b64encode(picture((16, 16), kind, shade)).decode()
    return {"inlineData": {"mimeType": f"image/{kind}", "data": data}, **more}


def usage(*, thoughts: int = 0) -> dict[str, Any]:
    """Write what an image costs in tokens."""
    return {
        "promptTokenCount": 7,
        "candidatesTokenCount": 1130,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": 1137 + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
    }


def response(body: dict[str, Any], number: int) -> dict[str, Any]:
    """Answer a request whole."""
    output = body.get("generationConfig", {}).get("imageConfig", {}).get("imageOutputOptions", {})
    kind = output.get("mimeType", "image/png").removeprefix("image/")
    drawn = image_part(number % 200, kind, thoughtSignature=base64.b64encode(b"signature").decode())
    return _wrapped([drawn], number, finish="STOP", usage=usage(thoughts=100))


def stream(body: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Answer a request in pieces, with interim images if thoughts are asked for."""
    pieces = []
    if body.get("generationConfig", {}).get("thinkingConfig", {}).get("includeThoughts"):
        pieces.append(_wrapped([{"text": "Composing.", "thought": True}], number))
        pieces += [_wrapped([image_part(shade, thought=True)], number) for shade in (100, 150)]
    return [*pieces, response(body, number)]


def event(piece: Mapping[str, Any]) -> bytes:
    """Write a piece of a stream: without a name, and nothing ends the stream but its end."""
    return f"data: {json.dumps(piece)}\r\n\r\n".encode()


def models_body() -> dict[str, Any]:
    """List models of which some draw."""
    methods = ["generateContent", "countTokens"]
    return {
        "models": [
            {"name": f"models/{name}", "displayName": name.title(), "supportedGenerationMethods": methods}
            for name in (*MODELS, "gemini-3-pro", "gemini-9-image-of-tomorrow")
        ]
        + [{"name": "models/image-embedding-1", "supportedGenerationMethods": ["embedContent"]}]
    }


def _wrapped(parts: list[dict[str, Any]], number: int, *, finish: str = "", usage: Any = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    told = {"usageMetadata": usage} if usage else {}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **told, "modelVersion": "gemini-3-pro-image", "responseId": f"resp-{number}"}


@asynccontextmanager
async def fake_google() -> AsyncIterator[FakeGoogle]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeGoogle()) as fake:
        yield fake

"""A fake of Gemini's image models on Vertex AI on a loopback port: paths, who asks, and what it takes beyond Gemini's.

The official `google-genai` package is held against it in tests/providers/vertex.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .google_api import KEY, MODELS, FakeGoogle, check_key, error, refused
from .recording import RecordedRequest
from .vendor import RefusalError, running

__all__ = ["KEY", "MODELS", "PROJECT", "TOKEN", "FakeVertex", "fake_vertex"]

PROJECT = "pictures-1234"
TOKEN = "ya29.test-token-0123456789"

_PLACE = re.compile(r"/(v1|v1beta1)/(?:projects/([^/]+)/locations/([^/]+)/)?publishers/google/models/([^/:]+):(\w+)")
_METHODS = ("generateContent", "streamGenerateContent")
_LIST = "/v1beta1/publishers/google/models"
_FORMATS = ("image/png", "image/jpeg")


class FakeVertex(FakeGoogle):
    """One loopback server: where it is, what it was asked, what it shall say."""

    top = FakeGoogle.top | {"labels", "toolConfig", "modelArmorConfig"}
    image_config = FakeGoogle.image_config | {"imageOutputOptions", "personGeneration"}

    def __init__(self, location: str = "global") -> None:
        """Know one key, one project and one token; `tokens` may be added to."""
        super().__init__("")
        self.location = location
        self.tokens = {TOKEN}

    def check_access(self, call: RecordedRequest) -> None:
        """See FakeGoogle. A key is for paths without a project, a token for the others and for the list."""
        authorization, found = call.headers.get("authorization"), _PLACE.fullmatch(call.path)
        if call.headers.get("x-goog-api-key"):
            if authorization is not None or (found and found[2]) or call.path == _LIST:
                message = "API keys are not supported by this API. Expected OAuth2 access token."
                raise RefusalError(401, error(401, "UNAUTHENTICATED", message, _info("CREDENTIALS_MISSING")))
            check_key(call)
        elif authorization is None:
            message = "Request is missing required authentication credential."
            raise RefusalError(401, error(401, "UNAUTHENTICATED", message, _info("CREDENTIALS_MISSING")))
        elif authorization not in {f"Bearer {token}" for token in self.tokens}:
            message = "Request had invalid authentication credentials."
            raise RefusalError(401, error(401, "UNAUTHENTICATED", message, _info("ACCESS_TOKEN_EXPIRED")))

    def listed(self, call: RecordedRequest) -> dict[str, Any] | None:
        """See FakeGoogle. Google's models of any kind, whatever the project."""
        if call.method != "GET" or call.path != _LIST:
            return None
        names = (*MODELS, "gemini-3-pro", "gemini-9-image-of-tomorrow", "mediapipe-image-classifier", "imagetext")
        return {
            "publisherModels": [
                {"name": f"publishers/google/models/{name}", "versionId": "default", "launchStage": "GA"}
                for name in names
            ]
        }

    def method(self, call: RecordedRequest) -> str:
        """See FakeGoogle."""
        found = _PLACE.fullmatch(call.path)
        if found is None or call.method != "POST" or found[5] not in _METHODS:
            raise RefusalError(404, error(404, "NOT_FOUND", "Requested entity was not found."))
        _, project, location, model, method = found.groups()
        if project not in (None, PROJECT):
            message = (
                "Permission 'aiplatform.endpoints.predict' denied on resource"
                f" '//aiplatform.googleapis.com/projects/{project}/locations/{location}' (or it may not exist)."
            )
            raise RefusalError(403, error(403, "PERMISSION_DENIED", message, _info("IAM_PERMISSION_DENIED")))
        if model not in MODELS or location not in (None, self.location):
            message = (
                f"Publisher Model `projects/{project}/locations/{location}/publishers/google/models/{model}` was not"
                " found or your project does not have access to it. Please ensure you are using a valid model version."
            )
            raise RefusalError(404, error(404, "NOT_FOUND", message))
        self._check_output(call.json)
        return method

    def _check_output(self, body: dict[str, Any]) -> None:
        image = body.get("generationConfig", {}).get("imageConfig", {})
        output = image.get("imageOutputOptions", {})
        if output.keys() - {"mimeType", "compressionQuality"}:
            field = "generation_config.image_config.image_output_options"
            raise refused(field, f"Invalid JSON payload received. Unknown name at '{field}': Cannot find field.")
        if output.get("mimeType", "image/png") not in _FORMATS:
            field = "generation_config.image_config.image_output_options.mime_type"
            raise refused(field, f"The mime type must be one of {_FORMATS}.")
        quality = output.get("compressionQuality", 75)
        if not isinstance(quality, int) or not 0 <= quality <= 100:
            field = "generation_config.image_config.image_output_options.compression_quality"
            raise refused(field, "The compression quality must be between 0 and 100.")

    def check_contents(self, contents: Any) -> None:
        """See FakeGoogle. Every turn says whose it is."""
        if any(turn.get("role") not in ("user", "model") for turn in contents or ()):
            message = "Unable to submit request because Please use a valid role: user, model."
            raise RefusalError(400, error(400, "INVALID_ARGUMENT", message))
        super().check_contents(contents)


def _info(reason: str) -> dict[str, str]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


@asynccontextmanager
async def fake_vertex(location: str = "global") -> AsyncIterator[FakeVertex]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeVertex(location)) as fake:
        yield fake

"""The provider `google`: Gemini's image models by the Gemini API."""

from collections.abc import Sequence
from datetime import UTC, datetime

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.secret import Secret
from imagegen_server.http.client import HttpClient

from .generate_content import Access, GenerateContent
from .models import draws, find_model, living_models
from .settings import GoogleSettings


class Google(GenerateContent):
    """Draws and edits by the Gemini API."""

    def __init__(self, name: str, settings: GoogleSettings) -> None:  # noqa: ARG002 - there are none
        """Take the configured name."""
        super().__init__(name)

    def access(self, http: HttpClient, key: Secret | None) -> tuple[Access, str]:
        """See GenerateContent."""
        return Access(http, key), "/models"

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models that the vendor has not ended, as far as they are known here."""
        return living_models(datetime.now(UTC))

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the image models of `GET /models`.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        access, path = self.access(http, key)
        return [
            find_model(str(entry["name"]).removeprefix("models/"), str(entry.get("displayName", "")), listed=True)
            for entry in await self.listed(access, path, "models", 1000)
            if draws(entry)
        ]

"""The provider `vertex`: Gemini's image models of a project and a location, or by a key in express mode."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.secret import Secret
from imagegen_server.http.client import HttpClient
from imagegen_server.providers.google.generate_content import Access, GenerateContent
from imagegen_server.providers.google.request import OUTPUT_PATHS, PARAM_PATHS

from .models import PUBLISHER, find_vertex_model, known_models, listed_model
from .settings import VertexSettings, base_url_of
from .tokens import AccessTokens

_EXPRESS = base_url_of(VertexSettings())
_LISTS = "v1beta1"
"""The only version that lists models of publishers. Source: model_garden_service.proto."""


class Vertex(GenerateContent):
    """Draws and edits by Vertex AI."""

    param_paths: ClassVar[Mapping[str, Sequence[str]]] = {**PARAM_PATHS, **OUTPUT_PATHS}

    def __init__(self, name: str, settings: VertexSettings) -> None:
        """Take the configured name; nobody is asked for credentials before the first request."""
        super().__init__(name)
        self._settings = settings
        self._tokens = AccessTokens(settings.credentials_file, settings.quota_project)

    def access(self, http: HttpClient, key: Secret | None) -> tuple[Access, str]:
        """See GenerateContent. With a key the paths name no project, and there is only the global address."""
        version = f"/{self._settings.api_version}"
        if key is None:
            place = f"projects/{self._settings.project}/locations/{self._settings.place}"
            return Access(http, None, self._tokens.proof_for(http)), f"{version}/{place}/{PUBLISHER}"
        own = base_url_of(self._settings)
        if own != _EXPRESS and http.base_url == own:
            http, _ = http.at(_EXPRESS, ("googleapis.com",))
        return Access(http, key), f"{version}/{PUBLISHER}"

    def refused(self) -> None:
        """See GenerateContent. What is kept may have been withdrawn, and is got anew next time."""
        self._tokens.forget()

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_vertex_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models that the vendor has not ended, as far as they are known here."""
        return known_models()

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the image models that Google publishes, whatever the project and location; with a key the known ones.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        if key is not None:
            # Express mode has no list.
            return known_models()
        access, _ = self.access(http, None)
        entries = await self.listed(access, f"/{_LISTS}/{PUBLISHER}", "publisherModels", 100)
        models = {model.id: model for entry in entries if (model := listed_model(entry))}
        return list(models.values())

    async def close(self) -> None:
        """See Provider."""
        self._tokens.close()

"""Google's Gemini image models on Vertex AI, now called Gemini Enterprise Agent Platform.

Sources: docs.cloud.google.com (REST reference of v1, locations, express mode, image generation, error 429), the protos
google/cloud/aiplatform of github.com/googleapis/googleapis, and github.com/googleapis/python-genai. What is asked for
and what comes back is as with the provider `google`; other are the addresses, who asks, and the form of the picture.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import EXTRA, VertexSettings, base_url_of, key_required

__all__ = ["PROVIDER", "VertexSettings"]

PROVIDER = ProviderType(
    name="vertex",
    settings=VertexSettings,
    build=built_by("imagegen_server.providers.vertex.provider:Vertex"),
    # No variable of a key: Google's own, GOOGLE_API_KEY, mostly holds one of the Gemini API.
    remote=Remote(
        key_required=key_required,
        base_url_of=base_url_of,
        settings_env={
            "project": "GOOGLE_CLOUD_PROJECT",
            "location": "GOOGLE_CLOUD_LOCATION",
            "credentials_file": "GOOGLE_APPLICATION_CREDENTIALS",
        },
        without_key=f"install {EXTRA} and set project or GOOGLE_CLOUD_PROJECT, and the server asks as what it runs as",
    ),
)

"""Google's Gemini image models, by the Gemini API.

Sources: ai.google.dev/api/generate-content, ai.google.dev/gemini-api/docs/image-generation and .../thought-signatures,
and the request builders and types of github.com/googleapis/python-genai.
Drawing and editing are the same call, answered as JSON or, with previews, as server-sent events.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import GoogleSettings

__all__ = ["PROVIDER", "GoogleSettings"]

PROVIDER = ProviderType(
    name="google",
    settings=GoogleSettings,
    build=built_by("imagegen_server.providers.google.provider:Google"),
    remote=Remote(base_url="https://generativelanguage.googleapis.com/v1beta", key_env="GEMINI_API_KEY"),
)

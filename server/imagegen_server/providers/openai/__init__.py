"""OpenAI's Images API.

Sources: platform.openai.com/docs/api-reference/images, and the OpenAPI document in github.com/openai/openai-openapi.
Generations by JSON, edits by multipart, both answered as JSON or, with previews, as server-sent events.
"""

from imagegen_server.providers.base import ProviderType, Remote

from .provider import OpenAI, OpenAISettings

__all__ = ["PROVIDER", "OpenAISettings"]

PROVIDER = ProviderType(
    name="openai",
    settings=OpenAISettings,
    build=OpenAI,
    remote=Remote(base_url="https://api.openai.com/v1", key_env="OPENAI_API_KEY"),
)

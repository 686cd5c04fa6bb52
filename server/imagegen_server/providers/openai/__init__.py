"""OpenAI's Images API.

Sources: platform.openai.com/docs/api-reference/images, and the OpenAPI document in github.com/openai/openai-openapi.
Generations by JSON, edits by multipart, both answered as JSON or, with previews, as server-sent events.
Others speak as it does: what they share is `images_api.py` and what that reads with; `dialect.py` tells the rest.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import OpenAISettings

__all__ = ["PROVIDER", "OpenAISettings"]

PROVIDER = ProviderType(
    name="openai",
    settings=OpenAISettings,
    build=built_by("imagegen_server.providers.openai.provider:OpenAI"),
    remote=Remote(base_url="https://api.openai.com/v1", key_env="OPENAI_API_KEY"),
)

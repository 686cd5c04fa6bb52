"""OpenRouter's Image API: models of many vendors behind one request, `POST /images`.

Sources: the vendor's OpenAPI document (.speakeasy/in.openapi.yaml in github.com/OpenRouterTeam/typescript-sdk), its
Python package `openrouter`, the guides on image generation and on errors of openrouter.ai/docs, and bodies that users
of the API reported. Its other way to pictures, chat completions, is not used: models that only draw are not there.
"""

from imagegen_server.providers.base import NoSettings, ProviderType, Remote, built_by

__all__ = ["PROVIDER"]

PROVIDER = ProviderType(
    name="openrouter",
    settings=NoSettings,
    build=built_by("imagegen_server.providers.openrouter.provider:OpenRouter"),
    remote=Remote(base_url="https://openrouter.ai/api/v1", key_env="OPENROUTER_API_KEY"),
)

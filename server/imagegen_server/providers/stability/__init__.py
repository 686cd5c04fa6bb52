"""Stability AI's Stable Image models and services, by its own REST API (v2beta).

Sources: the vendor's OpenAPI document (api.stability.ai/v2alpha/openapi, which is that of v2beta, as of 2026-09), its
API reference made from it, and answers that users of the API reported. Every service is a path of its own that takes
a form; it answers the picture's bytes, with what else is known of it in headers. There is no package of the vendor's
for this API, and no list of models to ask for.
"""

from imagegen_server.providers.base import NoSettings, ProviderType, Remote, built_by

__all__ = ["PROVIDER"]

PROVIDER = ProviderType(
    name="stability",
    settings=NoSettings,
    build=built_by("imagegen_server.providers.stability.provider:Stability"),
    remote=Remote(base_url="https://api.stability.ai", key_env="STABILITY_API_KEY"),
)

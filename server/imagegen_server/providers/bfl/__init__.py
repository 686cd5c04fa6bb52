"""Black Forest Labs' FLUX models, by its HTTP API: a task is submitted, then asked after until it is done.

Sources: the vendor's OpenAPI document (api.bfl.ai/openapi.json, as SDKs made from it keep it), docs.bfl.ai (quick
start, errors, pricing, FLUX.2, FLUX 3), help.bfl.ai on failed requests, its Python package `blackforest`, and bodies
that users of the API reported. Every model is a path of its own with its own fields; there is no list of
models to ask for.
"""

from imagegen_server.providers.base import NoSettings, ProviderType, Remote, built_by

__all__ = ["PROVIDER"]

PROVIDER = ProviderType(
    name="bfl",
    settings=NoSettings,
    build=built_by("imagegen_server.providers.bfl.provider:BFL"),
    remote=Remote(base_url="https://api.bfl.ai", key_env="BFL_API_KEY"),
)

"""xAI's image models, by its REST API.

Sources: docs.x.ai/developers/rest-api-reference/inference/images and .../inference/models, the pages on image
generation and editing, cost tracking, migrations and errors of docs.x.ai, and bodies that users of the API reported.
Drawing and editing are two calls, both JSON and answered as JSON: the vendor has no forms, no streams and no masks. Its
own Python package speaks gRPC, so it tells nothing of what is sent here.
"""

from imagegen_server.providers.base import NoSettings, ProviderType, Remote, built_by

__all__ = ["PROVIDER"]

PROVIDER = ProviderType(
    name="xai",
    settings=NoSettings,
    build=built_by("imagegen_server.providers.xai.provider:XAI"),
    remote=Remote(base_url="https://api.x.ai/v1", key_env="XAI_API_KEY"),
)

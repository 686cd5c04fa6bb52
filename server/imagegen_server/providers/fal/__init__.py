"""fal.ai's image models: a request waits in the vendor's queue and is asked after, or is streamed for its previews.

Sources: fal.ai/docs (the Inference API with its OpenAPI documents, queue, streaming, errors and request errors,
platform headers, data retention, model search), the vendor's Python package `fal-client`, the types of every endpoint
in its JavaScript package `@fal-ai/client`, and bodies that users of the API reported. Each model is a path of its own
with its own fields; which they are is told by the OpenAPI document of the model.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import FalSettings

__all__ = ["PROVIDER", "FalSettings"]

PROVIDER = ProviderType(
    name="fal",
    settings=FalSettings,
    build=built_by("imagegen_server.providers.fal.provider:Fal"),
    remote=Remote(base_url="https://queue.fal.run", key_env="FAL_KEY"),
)

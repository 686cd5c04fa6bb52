"""Models at Replicate, by its HTTP API: a prediction is created, and asked after until its pictures lie at URLs.

Sources: replicate.com/docs (HTTP reference, creating predictions and their deadlines, lifecycle, input and output
files, rate limits, billing, error codes), the vendor's Python package `replicate` 1.0.7, and bodies that users of the
API reported. Each model has inputs of its own, which the OpenAPI document of its version tells.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import ReplicateSettings

__all__ = ["PROVIDER", "ReplicateSettings"]

PROVIDER = ProviderType(
    name="replicate",
    settings=ReplicateSettings,
    build=built_by("imagegen_server.providers.replicate.provider:Replicate"),
    remote=Remote(base_url="https://api.replicate.com/v1", key_env="REPLICATE_API_TOKEN"),
)

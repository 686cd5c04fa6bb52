"""Another imagegen server as a provider: its models, previews, errors, attempts and costs, as if they were ours.

Reached by the published Python client (`imagegen`). What the SDK calls its `proxy` provider; docs/imagegen.md is for
operators.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import ImagegenSettings, address_of, token_refused

__all__ = ["PROVIDER", "ImagegenSettings"]

PROVIDER = ProviderType(
    name="imagegen",
    settings=ImagegenSettings,
    build=built_by("imagegen_server.providers.imagegen.provider:Imagegen"),
    remote=Remote(http=False, key_required=False, base_url_of=address_of, key_refused=token_refused),
)

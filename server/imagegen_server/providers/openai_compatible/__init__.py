"""Any server that speaks as OpenAI's Images API, at any address, several side by side.

What each wants in a way of its own is a switch; for those that are well known `dialect` sets them all.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import CompatibleSettings, base_url_of, key_required

__all__ = ["PROVIDER", "CompatibleSettings"]

PROVIDER = ProviderType(
    name="openai-compatible",
    settings=CompatibleSettings,
    build=built_by("imagegen_server.providers.openai_compatible.provider:OpenAICompatible"),
    remote=Remote(base_url_of=base_url_of, key_required=key_required),
)

"""The built-in provider: draws landscapes from the words of a prompt, and makes trouble on request.

It needs no key and no network, so that a team can test its own client, in any language, against every outcome of the
API. What it offers is told in docs/sandbox.md.
"""

from imagegen_server.providers.base import ProviderType, built_by

from .settings import SandboxSettings

__all__ = ["PROVIDER", "SandboxSettings"]

PROVIDER = ProviderType(
    name="sandbox",
    settings=SandboxSettings,
    build=built_by("imagegen_server.providers.sandbox.provider:Sandbox"),
    implicit_on_loopback=True,
)

"""Servers with the API of AUTOMATIC1111's web UI: that itself, Forge, SD.Next, KoboldCpp, and sd-server.

A picture is one call, which is answered when it is done. What the server tells while it works is asked for beside it.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import SdapiSettings

__all__ = ["PROVIDER", "SdapiSettings"]

PROVIDER = ProviderType(
    name="sdapi",
    settings=SdapiSettings,
    build=built_by("imagegen_server.providers.sdapi.provider:Sdapi"),
    remote=Remote(base_url="http://127.0.0.1:7860", key_required=False),
)

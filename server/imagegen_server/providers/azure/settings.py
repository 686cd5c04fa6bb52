"""The keys of the provider's table in the configuration, and the address that follows from them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

EXTRA = "imagegen-server[azure]"
"""What has to be installed for `credential = "entra"`: azure-identity."""

OLDEST_VERSION = "2025-04-01-preview"
"""The first `api-version` of the older URLs that edits. Source: users of the API, to whom older ones say 404."""

PATHS: Mapping[str, str] = {"v1": "/openai/v1", "deployments": "/openai"}
"""What stands between the endpoint and the paths of a style of URLs."""

_PATH = re.compile(r"/openai(?:/v1)?/*$")
_VERSION = re.compile(r"[0-9A-Za-z._-]{0,40}")


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """The keys of the table.

    `endpoint` is the resource's, such as "https://NAME.openai.azure.com". `api_version` "" = none with the `url_style`
    "v1", OLDEST_VERSION with "deployments". `deployments` tells which model stands behind the name of a deployment; of
    others the name tells it, if it begins like a model's.
    `credential`: "key" sends api_key as the resource's key, "token" sends it as an access token of Microsoft Entra, and
    "entra" has azure-identity get tokens for `scope` by itself.

    :raises ValueError: a value that fits into no address
    """

    endpoint: str = ""
    url_style: Literal["v1", "deployments"] = "v1"
    api_version: str = ""
    deployments: Mapping[str, str] = field(default_factory=dict)
    credential: Literal["key", "token", "entra"] = "key"
    scope: str = "https://cognitiveservices.azure.com/.default"

    def __post_init__(self) -> None:
        """Check what would otherwise fail with every request."""
        if not _VERSION.fullmatch(self.api_version):
            raise ValueError(f'api_version: {self.api_version!r} is none; it is written as "{OLDEST_VERSION}"')

    @property
    def query(self) -> str:
        """What follows each path."""
        version = self.api_version or (OLDEST_VERSION if self.url_style == "deployments" else "")
        return f"?api-version={version}" if version else ""


def base_url_of(settings: AzureSettings) -> str:
    """Tell what stands before the paths.

    :raises ValueError: there is no endpoint, or it is none; begins with the name of the setting
    """
    endpoint = settings.endpoint
    if not endpoint:
        raise ValueError('endpoint: is required, such as "https://NAME.openai.azure.com"; or set AZURE_OPENAI_ENDPOINT')
    if not endpoint.startswith(("https://", "http://")):
        raise ValueError('endpoint: is no address; it is written as "https://NAME.openai.azure.com"')
    # The portal shows it with and without a path.
    return _PATH.sub("", endpoint).rstrip("/") + PATHS[settings.url_style]


def key_required(settings: AzureSettings) -> bool:
    """Tell whether the table or the environment must have a key."""
    return settings.credential != "entra"


def identity_installed() -> bool:
    """Tell whether azure-identity is there, without importing it."""
    return find_spec("azure") is not None and find_spec("azure.identity") is not None

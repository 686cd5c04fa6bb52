"""The keys of the provider's table in the configuration, and the address that follows from them."""

import re
from dataclasses import dataclass
from importlib.util import find_spec

EXTRA = "imagegen-server[vertex]"
"""What has to be installed where there is no key: google-auth."""

GLOBAL = "global"
_MULTI_REGIONS = ("us", "eu")
_LOCATION = re.compile(r"[a-z]{2,20}-[a-z]{2,20}[0-9]{1,2}")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
_VERSION = re.compile(r"v[0-9]{1,2}(?:(?:alpha|beta)[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class VertexSettings:
    """The keys of the table.

    `project` (its id or number) and `location` stand in every path, unless there is a key. `location` "" = "global".
    `credentials_file` is what google-auth reads: a service account, a workload identity, a user; "" = what it finds.
    `quota_project` is billed for the use of the API, in place of the one that the credentials name.
    `api_version` is that of the paths.

    :raises ValueError: a value that fits into no address
    """

    project: str = ""
    location: str = ""
    credentials_file: str = ""
    quota_project: str = ""
    api_version: str = "v1"

    def __post_init__(self) -> None:
        """Check what is a part of an address: tokens go there."""
        place = self.place
        if place not in (GLOBAL, *_MULTI_REGIONS) and not _LOCATION.fullmatch(place):
            raise ValueError(f'location: {place!r} is none; it is written as "global", "eu" or "europe-west4"')
        if self.project and not _PROJECT.fullmatch(self.project):
            raise ValueError(f"project: {self.project!r} is no id of a project")
        if not _VERSION.fullmatch(self.api_version):
            raise ValueError(f'api_version: {self.api_version!r} is none; it is written as "v1" or "v1beta1"')

    @property
    def place(self) -> str:
        """The location."""
        return self.location or GLOBAL


def base_url_of(settings: VertexSettings) -> str:
    """Tell where a location is asked. Source: python-genai, `_api_client.py`."""
    place = settings.place
    if place == GLOBAL:
        return "https://aiplatform.googleapis.com"
    if place in _MULTI_REGIONS:
        return f"https://aiplatform.{place}.rep.googleapis.com"
    return f"https://{place}-aiplatform.googleapis.com"


def key_required(settings: VertexSettings) -> bool:
    """Tell whether nothing but a key can prove who asks: a token is asked for by google-auth, and for a project."""
    return not (settings.project and tokens_installed())


def tokens_installed() -> bool:
    """Tell whether google-auth is there, without importing it."""
    return find_spec("google") is not None and find_spec("google.auth") is not None

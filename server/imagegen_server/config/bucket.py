"""[store.bytes]: the bucket where a shared store keeps the bytes of images."""

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from imagegen_server.domain.secret import Secret

from .authorities import read_authorities
from .keys import KeyReference
from .values import ConfigError, Seconds, Table

_KEY = "store.bytes"
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.*'()=-]+)*)/?")
_FORMS = '"s3://BUCKET" or "s3://BUCKET/PREFIX"'
_REGION = r"^$|^[A-Za-z0-9-]{1,64}$"
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ANY_REGION = "us-east-1"
"""What most storage that is not the vendor's goes by if it is not told otherwise."""

_LONGEST_SECONDS = 7.0
"""An image has 10 s to arrive when its generation is stopped (runner.ARRIVAL_SECONDS), and Redis takes 2 s of them."""


class BucketTable(Table):
    """Where the bucket is, and who asks. Without keys the library finds them by itself."""

    url: str
    endpoint: str = ""
    region: Annotated[str, Field(pattern=_REGION)] = ""
    path_style: bool | None = None
    access_key: KeyReference | None = None
    secret_key: KeyReference | None = None
    ca: Path | None = None
    timeout: Annotated[Seconds, Field(le=_LONGEST_SECONDS)] = 5.0

    @field_validator("url")
    @classmethod
    def _bucket(cls, url: str) -> str:
        if not _URL.fullmatch(url) or ".." in url or "/./" in f"{url}/":
            raise ValueError(f"is no bucket; write {_FORMS}")
        return url.rstrip("/")

    @field_validator("endpoint")
    @classmethod
    def _address(cls, endpoint: str) -> str:
        """Take a scheme and a host. What is wrong is told without the URL: it may hold a key."""
        if not endpoint:
            return endpoint
        try:
            parts = urlsplit(endpoint)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), 0
        more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in {"http", "https"} or not parts.hostname or more or port == 0:
            raise ValueError(
                'is no address of storage; write "https://HOST" or "https://HOST:PORT", without the bucket'
            )
        return endpoint.rstrip("/")

    @property
    def bucket(self) -> str:
        """Its name."""
        return self.url.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """What the name of every object begins with; "" = nothing."""
        return self.url.removeprefix("s3://").partition("/")[2]

    @property
    def in_path(self) -> bool:
        """The bucket's name stands in the path of a URL: no certificate of the vendor fits a host with more dots."""
        return self.path_style if self.path_style is not None else bool(self.endpoint) or "." in self.bucket

    def place(self) -> tuple[str, str]:
        """Tell endpoint and region. An endpoint of the environment is not read: it may be another program's.

        :raises ConfigError: nobody says the region
        """
        region = self.region or next((said for name in _REGION_VARIABLES if (said := os.environ.get(name))), "")
        if self.endpoint:
            return self.endpoint, region or _ANY_REGION
        if not region or not re.fullmatch(_REGION, region):
            raise ConfigError(
                f"{_KEY}.region: is required, or the environment variable {' or '.join(_REGION_VARIABLES)}; "
                f"or {_KEY}.endpoint for storage that is not Amazon's"
            )
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return f"https://s3.{region}.{domain}", region

    def read_keys(self) -> tuple[Secret, Secret] | None:
        """Fetch the id and the secret of the key; None = the library finds one.

        :raises ConfigError: one is missing, or cannot be read
        """
        if self.access_key is None and self.secret_key is None:
            return None
        if self.access_key is None or self.secret_key is None:
            raise ConfigError(f"{_KEY}.access_key, {_KEY}.secret_key: belong together; one of them is missing")
        return self.access_key.read(f"{_KEY}.access_key"), self.secret_key.read(f"{_KEY}.secret_key")

    def read_ca(self) -> bytes | None:
        """Read the authorities that are trusted beside the machine's; None = there are no others.

        :raises ConfigError: it cannot be read, or holds no certificate
        """
        return read_authorities(f"{_KEY}.ca", self.ca) if self.ca is not None else None

    def read(self) -> None:
        """See that all of it can be had.

        :raises ConfigError: naming every key that is wrong
        """
        wrong = []
        for fetch in (self.place, self.read_keys, self.read_ca):
            try:
                fetch()
            except ConfigError as problem:
                wrong.append(str(problem))
        if wrong:
            raise ConfigError("\n".join(wrong))

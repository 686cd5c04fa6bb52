"""[store]: where images, uploads and request ids are kept."""

from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import ByteSize, Field, field_validator

from imagegen_server.domain.secret import Secret

from .authorities import read_authorities
from .bucket import BucketTable
from .keys import KeyReference
from .values import ConfigError, Seconds, Table

_FORMS = '"memory://", "redis://HOST:6379/0", "rediss://HOST:6379/0" or "unix:///PATH"'


class StoreTable(Table):
    """[store]."""

    url: str = "memory://"
    password: KeyReference | None = None
    ca: str = ""
    prefix: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.:{}-]+$")] = "imagegen"
    ttl: Seconds = 15 * 60.0
    request_ttl: Seconds = 24 * 60 * 60.0
    max_bytes: Annotated[ByteSize, Field(gt=0)] = ByteSize(512 * 1024 * 1024)
    bytes: BucketTable | None = None

    @property
    def shared(self) -> bool:
        """Several server processes may use it."""
        return self.url != "memory://"

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        """Take what Redis is reached by. What is wrong is told without the URL: it may hold a password."""
        if url == "memory://":
            return url
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError(f"is no URL; write {_FORMS}") from None
        if parts.password is not None:
            raise ValueError('holds a password; name where it is instead: store.password = {env = "NAME"}')
        if problem := _problem(parts) or (port == 0 and "has no port 0"):
            raise ValueError(f"{problem}; write {_FORMS}")
        return url

    def read(self) -> Secret | None:
        """Fetch the password; None = there is none.

        :raises ConfigError: it or a file is not there, or something is set that the store has no use for
        """
        if not self.shared:
            for key in ("password", "ca", "prefix", "bytes"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ConfigError(f"store.{key}: has no effect with memory://")
        if self.ca and not self.url.startswith("rediss://"):
            raise ConfigError("store.ca: has no effect without rediss://")
        if self.ca:
            read_authorities("store.ca", Path(self.ca))
        if self.bytes is not None:
            self.bytes.read()
        return self.password.read("store.password") if self.password is not None else None


def _problem(parts: SplitResult) -> str:
    """Say what is wrong with the URL of a Redis; "" = nothing."""
    if parts.scheme not in {"redis", "rediss", "unix"}:
        return "is no store that there is"
    if parts.query or parts.fragment:
        return "has more to it than host, port and database"
    if parts.scheme == "unix":
        return "" if parts.path and not parts.netloc else "names no socket"
    if not parts.hostname:
        return "names no host"
    database = parts.path.removeprefix("/")
    return "" if not database or database.isdecimal() else "names no database by its number"

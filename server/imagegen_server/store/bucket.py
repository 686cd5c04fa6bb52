"""Images' bytes in a bucket of S3-speaking storage. See BytesStore in bytes.py.

Object names are the images' ids. Nothing is listed and nothing is deleted: a rule of the bucket does that, by age.
"""

import asyncio
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import S3Store

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret

if TYPE_CHECKING:
    from obstore.store import S3Credential

_AT_ONCE = 32
"""Images on their way to and from the bucket; one more waits. It bounds connections, and memory beside the images."""

_CONNECT_SECONDS = 2.0
_REPEATS = 2
_FIRST_PAUSE = timedelta(milliseconds=100)
_LONGEST_PAUSE = timedelta(seconds=1)

_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"status code: (\d{3})\b")
_GONE = "NoSuchKey"


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """Where the bucket is, and who asks.

    `endpoint` is a URL of scheme, host and perhaps port. `prefix` is what every object's name begins with, "" =
    nothing. `path_style`: the bucket's name stands in the path, else before the host. `keys` are the id and the secret
    of a key; None = the library finds them: AWS_* variables, web identities, roles of containers and machines. `ca` is
    PEM: authorities that are trusted beside those of the machine. `timeout` in seconds, for one image, repeats
    included.
    """

    bucket: str
    endpoint: str
    region: str
    prefix: str = ""
    path_style: bool = True
    keys: tuple[Secret, Secret] | None = None
    ca: bytes | None = field(default=None, repr=False)
    timeout: float = 5.0


class BucketBytes:
    """Bytes by name in a bucket.

    An image is one PUT, whole or not at all, and one GET. What the server refuses for the moment, and broken
    connections, are repeated within the time.
    """

    def __init__(self, settings: BucketSettings) -> None:
        """Connect when something is asked for."""
        self._where = f"s3://{settings.bucket}/{settings.prefix}".rstrip("/")
        self._timeout = settings.timeout
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._store = _open(settings)

    async def check(self) -> None:
        """See that the bucket takes an object, gives it back, and tells what is not there.

        :raises OSError: it does not
        """
        name = "check_" + secrets.token_hex(8)
        try:
            if await self.get(name) is not None:
                raise ConnectionError(f"store.bytes: {self._where} gives what nobody has put there")
            await self.put(name, name.encode(), 0)
            if await self.get(name) != name.encode():
                raise ConnectionError(f"store.bytes: {self._where} does not give back what was put there")
        except ImageError as error:
            raise ConnectionError(f"store.bytes: {self._where} cannot be used: {error.message}") from None

    async def put(self, name: str, data: bytes, ttl: float) -> None:
        """Keep bytes. When they may go is noted beside them, for people: the bucket's rule goes by age.

        :raises ImageError: STORE_UNAVAILABLE; the bucket may have them all the same
        """
        expires = (datetime.now(UTC) + timedelta(seconds=ttl)).isoformat(timespec="seconds")
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                await self._store.put_async(name, data, attributes={"expires": expires}, use_multipart=False)
        except (BaseError, OSError, ValueError) as problem:
            raise _away(problem) from None

    async def get(self, name: str) -> bytes | None:
        """Read them. Only what the server says is not there is not there.

        :raises ImageError: STORE_UNAVAILABLE
        """
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                found = await self._store.get_async(name)
                return (await found.bytes_async()).to_bytes()
        except (BaseError, OSError, ValueError) as problem:
            # A missing bucket is "not found" too, and so is a key that some servers do not know.
            if isinstance(problem, FileNotFoundError) and _code(problem) == _GONE:
                return None
            raise _away(problem) from None


def _open(settings: BucketSettings) -> S3Store:
    given = timedelta(seconds=settings.timeout)
    endpoint = settings.endpoint
    if not settings.path_style:
        parts = urlsplit(endpoint)
        endpoint = parts._replace(netloc=f"{settings.bucket}.{parts.netloc}").geturl()
    keys = settings.keys

    def credentials() -> "S3Credential":
        assert keys is not None
        # Not by the library's settings: it would add AWS_SESSION_TOKEN of the environment, which is another key's.
        return {"access_key_id": keys[0].reveal(), "secret_access_key": keys[1].reveal(), "expires_at": None}

    return S3Store(
        settings.bucket,
        prefix=settings.prefix or None,
        region=settings.region,
        aws_endpoint_url_s3=endpoint,  # goes before every other variable and setting that leads somewhere
        virtual_hosted_style_request=not settings.path_style,
        credential_provider=credentials if keys else None,
        client_options={
            "allow_http": True,  # config has seen to it
            "connect_timeout": timedelta(seconds=min(_CONNECT_SECONDS, settings.timeout)),
            "timeout": given,
            **({"root_certificate": settings.ca} if settings.ca else {}),
        },
        retry_config={
            "max_retries": _REPEATS,
            "retry_timeout": given,
            "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE, "base": 2},
        },
    )


def _code(problem: Exception) -> str | None:
    """Find the code that the server gave, in the text that the library makes of its answer."""
    match = _CODE.search(str(problem))
    return match[1] if match else None


def _away(problem: Exception) -> ImageError:
    """Make the error of a bucket. Of what the server said only the code: the rest repeats what was signed."""
    if isinstance(problem, TimeoutError):
        word = "no answer in time"
    elif code := _code(problem):
        word = code
    elif status := _STATUS.search(str(problem)):
        word = f"HTTP {status[1]}"
    else:
        word = "no answer"
    return ImageError(
        Reason.STORE_UNAVAILABLE, f"the bucket of the server's store does not serve ({word}); nothing new is bought"
    )

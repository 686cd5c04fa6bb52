"""The official package `boto3`: on the fake, and what it sends for a call."""

import asyncio
import functools
import http.client
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .bedrock_api import ACCESS_KEY, KEY, REGION, SECRET_KEY, TOKEN, FakeBedrock, fake_bedrock
from .recording import RecordedRequest, recorded
from .tools import require_package

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Do an operation with its fields, and return what the package makes of the answer; it raises the package's errors."""


def aws_environment(patch: pytest.MonkeyPatch, place: Path, **variables: str) -> None:
    """Have no AWS of whoever runs the tests: variables, files, a machine's role. Then set these variables."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    usual = {
        "AWS_CONFIG_FILE": str(place / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(place / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in (usual | variables).items():
        patch.setenv(name, value)


def credentials(token: str = TOKEN) -> dict[str, str]:
    """Name the variables of AWS credentials that the fake knows; "" = without a session."""
    named = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_SESSION_TOKEN": token}
    return {name: value for name, value in named.items() if value}


@functools.cache
def _session() -> Any:
    """Read the models of the package once: it takes half a second."""
    return require_package("boto3").Session(region_name=REGION)


def _client(service: str, keys: dict[str, str], **options: Any) -> Any:
    """Make a client that tries nothing twice. Without `keys` it proves who asks by the variable of the key."""
    config = require_package("botocore.config").Config(retries={"total_max_attempts": 1})
    return _session().client(service, config=config, **keys, **options)


def _keys(*, bearer: bool, secret: str = SECRET_KEY, token: str = TOKEN) -> dict[str, str]:
    if bearer:
        return {}
    named = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": secret, "aws_session_token": token}
    return {name: value for name, value in named.items() if value}


@asynccontextmanager
async def package_on_fake(
    place: Path, *, bearer: str = "", secret: str = SECRET_KEY, token: str = TOKEN, service: str = "bedrock-runtime"
) -> AsyncIterator[tuple[FakeBedrock, Ask]]:
    """Run a fake and a client of the package on it, with AWS credentials or with a key."""
    async with fake_bedrock() as fake:
        with pytest.MonkeyPatch.context() as patch:
            aws_environment(patch, place, **({"AWS_BEARER_TOKEN_BEDROCK": bearer} if bearer else {}))
            address = {} if bearer else {"endpoint_url": fake.base_url}
            keys = _keys(bearer=bool(bearer), secret=secret, token=token)
            client = await asyncio.to_thread(_client, service, keys, **address)
            if bearer:
                # The package gives a key to nobody but by TLS, so its requests are carried to the fake by hand.
                client.meta.events.register(f"before-send.{service}", functools.partial(_carry, fake.base_url))

            async def ask(operation: str, fields: dict[str, Any]) -> Any:
                return await asyncio.to_thread(getattr(client, operation), **fields)

            try:
                yield fake, ask
            finally:
                client.close()


@contextmanager
def sent_by_package(place: Path, *, bearer: bool) -> Iterator[Callable[[dict[str, Any]], RecordedRequest]]:
    """Give a function that makes a call of InvokeModel and returns what would have been sent; nothing is.

    Within the block the environment proves who asks, for others than the package, too.
    """
    require_package("boto3")
    kept: list[RecordedRequest] = []

    def keep(request: Any, **_facts: Any) -> Any:
        parts = urlsplit(request.url)
        headers = [("host", parts.netloc), *_headers(request).items()]
        kept.append(recorded(request.method, parts.path, headers, bytes(request.body)))
        return _answered(request, 200, {"content-type": "application/json"}, b"{}")

    with pytest.MonkeyPatch.context() as patch:
        aws_environment(patch, place, **({"AWS_BEARER_TOKEN_BEDROCK": KEY} if bearer else credentials()))
        client = _client("bedrock-runtime", {})
        client.meta.events.register("before-send.bedrock-runtime", keep)

        def send(fields: dict[str, Any]) -> RecordedRequest:
            client.invoke_model(**fields)
            return kept.pop()

        yield send


def _carry(base_url: str, request: Any, **_facts: Any) -> Any:
    """Send a request of the package to the fake, under the name of the host that it is for."""
    to, parts = urlsplit(base_url), urlsplit(request.url)
    connection = http.client.HTTPConnection(to.hostname or "", to.port)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection.request(request.method, path, request.body, {"host": parts.netloc, **_headers(request)})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return _answered(request, answer.status, dict(answer.getheaders()), data)


def _headers(request: Any) -> dict[str, str]:
    named = request.headers.items()
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in named}


def _answered(request: Any, status: int, headers: dict[str, str], data: bytes) -> Any:
    response = require_package("botocore.awsrequest").AWSResponse
    return response(request.url, status, {name.lower(): value for name, value in headers.items()}, _Raw(data))


class _Raw:
    """The body of an answer, as the package reads it from a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.read = self._data.read

    def stream(self, **_options: Any) -> Iterator[bytes]:
        """Give it in one piece."""
        yield self._data.read()

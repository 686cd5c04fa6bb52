"""Access tokens of Google Cloud, by google-auth: it finds the credentials and asks whoever issues tokens for them.

Sources: the package google-auth (`google.auth.default`, `google.auth.transport`) and the page on Application Default
Credentials of docs.cloud.google.com. The package blocks, so it works in a thread of its own.
"""

import asyncio
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import httpx

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.blocking import open_blocking
from imagegen_server.http.client import HttpClient, HttpSettings, Sign, Unsigned
from imagegen_server.http.failures import network_failure

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_STEP_SECONDS = 10.0
"""For each step of one exchange with whoever issues tokens; google-auth makes up to three for a token."""

_SECONDS = 45.0
"""For a token in all: whoever waits for it then gives up."""

_MOST_BYTES = 1024 * 1024
"""Of what an issuer answers."""

_CODE = re.compile(r"[a-z_]{4,40}(?=:)")
"""The code of an OAuth error (RFC 6749, 5.2), as google-auth begins its message."""


class AccessTokens:
    """Tokens for one provider. Each is kept until it is about to end, and asked for once, however many want it."""

    def __init__(self, credentials_file: str, quota_project: str) -> None:
        """Ask for nothing yet: the first request does. See VertexSettings."""
        self._file = credentials_file
        self._quota_project = quota_project
        self._credentials: Any = None
        self._coming: asyncio.Task[Any] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._client: httpx.Client | None = None

    def proof_for(self, http: HttpClient) -> Sign:
        """Make what proves who asks; tokens are got by way of the same proxy as `http`, and not of its headers.

        It raises ImageError: AUTHENTICATION_FAILED: there are no credentials, or they are not accepted; NETWORK_ERROR:
        who issues tokens was not reached.
        """
        return partial(self._headers, http)

    def forget(self) -> None:
        """Read the credentials anew before the next request."""
        self._credentials = None

    def close(self) -> None:
        """Let go of connections and of the thread, without waiting for what it waits for."""
        if self._coming is not None:
            self._coming.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def _headers(self, http: HttpClient, _unsigned: Unsigned) -> Mapping[str, str]:
        credentials = self._credentials
        # Not valid from some minutes before its end on.
        if credentials is None or not credentials.valid:
            credentials = await self._fresh(http.settings)
        quota = credentials.quota_project_id
        return {"authorization": f"Bearer {credentials.token}"} | ({"x-goog-user-project": quota} if quota else {})

    async def _fresh(self, settings: HttpSettings) -> Any:
        if self._coming is None or self._coming.done():
            self._thread = self._thread or ThreadPoolExecutor(1, "vertex-tokens")
            self._coming = asyncio.create_task(self._refresh(self._thread, settings))
            # Who asked for it may all have left.
            self._coming.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout(_SECONDS):
                return await asyncio.shield(self._coming)
        except TimeoutError:
            message = f"Google Cloud gave no access token within {_SECONDS:g} s"
            raise ImageError(Reason.NETWORK_ERROR, message, sent=False) from None

    async def _refresh(self, thread: ThreadPoolExecutor, settings: HttpSettings) -> Any:
        try:
            self._credentials = await asyncio.get_running_loop().run_in_executor(thread, self._ask, settings)
        except Exception as problem:  # noqa: BLE001 - google-auth reads files, runs programs and asks hosts of anybody's
            self.forget()
            raise _as_image_error(problem) from None
        return self._credentials

    def _ask(self, settings: HttpSettings) -> Any:
        self._client = self._client or open_blocking(settings, _STEP_SECONDS)
        request = partial(_exchange, self._client)
        credentials = self._credentials or self._found(request)
        if not credentials.valid:
            credentials.refresh(request)
        return credentials

    def _found(self, request: Any) -> Any:
        auth, of_credentials = import_module("google.auth"), import_module("google.auth.credentials")
        options = {"request": request, "quota_project_id": self._quota_project or None}
        with warnings.catch_warnings():
            # It warns of files from strangers and of users without a project; this one is the operator's own.
            warnings.simplefilter("ignore")
            if not self._file:
                found, _ = auth.default(scopes=[SCOPE], **options)
                return found
            found, _ = auth.load_credentials_from_file(self._file, **options)
            # A user has given leave to what he wanted, and is not asked for more.
            return of_credentials.with_scopes_if_required(found, [SCOPE])


@dataclass(frozen=True, slots=True)
class _Answer:
    """As google.auth.transport.Response."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def _exchange(
    client: httpx.Client,
    *,
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> _Answer:
    """Do as google.auth.transport.Request: one exchange, in `timeout` seconds for each step.

    :raises TransportError: of google-auth, caused by the ImageError that tells what happened
    """
    end, data = time.monotonic() + _STEP_SECONDS, bytearray()
    try:
        with client.stream(method, url, content=body, headers=headers, timeout=timeout or _STEP_SECONDS) as answer:
            for piece in answer.iter_bytes():
                data += piece
                if len(data) > _MOST_BYTES or time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer does not end")
    except (httpx.TransportError, OSError) as problem:
        failure = network_failure(problem, httpx.URL(url).host)
        raise import_module("google.auth.exceptions").TransportError(failure.message) from failure
    return _Answer(answer.status_code, answer.headers, bytes(data))


def _as_image_error(problem: Exception) -> ImageError:
    """Tell the reason. What an issuer says may be anything; of its words only the code is told."""
    kind = type(problem).__name__
    unreached = next((cause for cause in _causes(problem) if isinstance(cause, ImageError)), None)
    if unreached is not None:
        message = f"no access token for Google Cloud: {unreached.message}"
        return ImageError(Reason.NETWORK_ERROR, message, sent=False)
    if getattr(problem, "retryable", False):
        return ImageError(
            Reason.PROVIDER_UNAVAILABLE, f"Google Cloud gave no access token for the moment ({kind})", billed=Billed.NO
        )
    code = _CODE.match(str(problem.args[0] if problem.args else ""))
    return ImageError(
        Reason.AUTHENTICATION_FAILED,
        f"Google Cloud gave no access token ({kind}{f': {code[0]}' if code else ''}): set credentials_file, or mend"
        " what `gcloud auth application-default print-access-token` says where the server runs; its identity needs the"
        " role roles/aiplatform.user",
        billed=Billed.NO,
    )


def _causes(problem: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = problem
    while cause is not None:
        yield cause
        cause = cause.__cause__

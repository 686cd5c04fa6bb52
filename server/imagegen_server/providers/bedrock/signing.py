"""Signature Version 4 with AWS credentials from where AWS keeps them: botocore does both, and sends nothing of ours.

Sources: "Signing AWS API requests" of the IAM user guide, and botocore's own `auth` and `credentials`. Credentials come
from the environment, shared files, single sign-on, web identities, processes, containers and instances, in botocore's
order, and are refreshed by it. Both may block, so they are done in threads of their own.
"""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Lock
from typing import Any

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.client import Unsigned

SERVICE = "bedrock"
"""In whose name is signed, also for bedrock-runtime."""

_THREADS = 4
_SIGNED = ("host", "content-type")
_PREFIX = "x-amz"
"""Headers of AWS have to be signed; what others a proxy may touch is not."""

_PROOF = ("authorization", "x-amz-date", "x-amz-security-token")


class Signer:
    """Signs requests for one region. `profile` as in BedrockSettings."""

    def __init__(self, region: str, profile: str) -> None:
        """Look for nothing yet: the first request does."""
        self._region = region
        self._profile = profile
        self._lock = Lock()
        self._session: Any = None
        self._threads: ThreadPoolExecutor | None = None

    async def headers(self, unsigned: Unsigned) -> Mapping[str, str]:
        """Make the headers that prove who asks; see `Sign`.

        :raises ImageError: AUTHENTICATION_FAILED: there are no credentials, or they cannot be read or refreshed
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "bedrock-signing")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._sign, unsigned)

    def close(self) -> None:
        """Let go of the threads, without waiting for what they wait for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _sign(self, unsigned: Unsigned) -> Mapping[str, str]:
        auth, awsrequest = import_module("botocore.auth"), import_module("botocore.awsrequest")
        named = {name: value for name, value in unsigned.headers.items() if name in _SIGNED or name.startswith(_PREFIX)}
        request = awsrequest.AWSRequest(unsigned.method, unsigned.url, named, unsigned.body)
        auth.SigV4Auth(self._credentials(), SERVICE, self._region).add_auth(request)
        return {name.lower(): str(value) for name, value in request.headers.items() if name.lower() in _PROOF}

    def _credentials(self) -> Any:
        """Read the credentials of today, as they are all of one time.

        :raises ImageError: AUTHENTICATION_FAILED
        """
        try:
            with self._lock:
                if self._session is None:
                    # It would write down what is signed, session tokens included.
                    logging.getLogger("botocore.auth").setLevel(logging.INFO)
                    self._session = import_module("botocore.session").Session(profile=self._profile or None)
                found = self._session.get_credentials()
            if found is not None:
                return found.get_frozen_credentials()
            trouble = "none were found"
        except Exception as problem:  # noqa: BLE001 - botocore reads files and runs programs that are anybody's
            # Its words may be those of a program that was asked for a secret.
            trouble = f"they cannot be read ({type(problem).__name__})"
        raise ImageError(
            Reason.AUTHENTICATION_FAILED,
            f"AWS credentials: {trouble}; set a key (AWS_BEARER_TOKEN_BEDROCK or api_key), or mend what"
            " `aws sts get-caller-identity` says of the server's environment and profile",
            billed=Billed.NO,
        )

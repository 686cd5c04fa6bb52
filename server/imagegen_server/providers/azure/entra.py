"""Access tokens of Microsoft Entra, by azure-identity's DefaultAzureCredential.

Source: the package azure-identity. It tries the environment, workload and managed identities, and the developer's own
tools in turn, keeps a token until it is about to expire, and asks only then again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.client import Unsigned

_UNREACHABLE = ("ServiceRequestError", "ServiceResponseError")
"""Classes of azure-core, which is not imported for their sake."""


class EntraTokens:
    """Tokens for one scope. `last` is the one that was sent last; "" = none yet."""

    def __init__(self, scope: str) -> None:
        """Ask for nothing yet: the first request does."""
        self.last = ""
        self._scope = scope
        self._setting_up = asyncio.Lock()
        self._credential: Any = None
        self._token: Callable[[], Awaitable[str]] | None = None

    async def headers(self, _unsigned: Unsigned) -> Mapping[str, str]:
        """Make the header that proves who asks; see `Sign`.

        :raises ImageError: AUTHENTICATION_FAILED: there is no identity; NETWORK_ERROR: who issues tokens cannot be
            reached
        """
        try:
            token = await self._provider()
            self.last = await token()
        except Exception as problem:  # noqa: BLE001 - azure-identity runs programs and asks hosts that are anybody's
            raise _as_image_error(problem) from None
        return {"authorization": f"Bearer {self.last}"}

    async def close(self) -> None:
        """Close the connections of the credential."""
        if self._credential is not None:
            await self._credential.close()

    async def _provider(self) -> Callable[[], Awaitable[str]]:
        async with self._setting_up:
            if self._token is None:
                # Takes a second or more.
                identity = await asyncio.to_thread(import_module, "azure.identity.aio")
                self._credential = identity.DefaultAzureCredential()
                self._token = identity.get_bearer_token_provider(self._credential, self._scope)
            return self._token


def _as_image_error(problem: Exception) -> ImageError:
    """Tell the reason. The text, which names each way that was tried, stands in the log of `azure.identity`."""
    kind = type(problem)
    if any(base.__name__ in _UNREACHABLE for base in kind.__mro__):
        message = f"Microsoft Entra cannot be reached for a token ({kind.__name__})"
        return ImageError(Reason.NETWORK_ERROR, message, sent=False)
    return ImageError(
        Reason.AUTHENTICATION_FAILED,
        f"Microsoft Entra gave no token ({kind.__name__}): the server needs an identity that may use the resource (role"
        " Cognitive Services OpenAI User); mend what `az account get-access-token` says where it runs",
        billed=Billed.NO,
    )

"""Images that a provider answers as a URL, made into bytes before anybody is told of them: such URLs expire."""

import asyncio

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.http.guarded_fetch import GuardedFetcher, NotFetched
from imagegen_server.providers.registry import ProviderEntry

from .run import FetchResult

WAITS = (0.5, 2.0)
"""Seconds before a fetch is tried again: the image is paid for, and fetching it again is free."""


def result_fetcher(fetcher: GuardedFetcher) -> FetchResult:
    """Make what fetches them, without the provider's key.

    From public addresses only, and from the origin of the provider's own base URL, which the operator has chosen. It
    raises ImageError INVALID_RESPONSE.
    """

    async def fetch(entry: ProviderEntry, url: str) -> bytes:
        origin = entry.http.base_url if entry.http else ""
        for wait in (*WAITS, None):
            try:
                return await fetcher.fetch(url, max_bytes=MAX_IMAGE_BYTES, allow_origin=origin)
            except NotFetched as problem:
                if wait is None or problem.malformed or problem.refused:
                    raise ImageError(
                        Reason.INVALID_RESPONSE, f"the image of {entry.name} could not be fetched: {problem}"
                    ) from None
                await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    return fetch

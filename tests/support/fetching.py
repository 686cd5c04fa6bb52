"""A fetcher on loopback, names that lead where a test wants, and a picture to fetch."""

import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from imagegen_server.http.guarded_fetch import FetchSettings, GuardedFetcher, NotFetched, Resolver

from .http_server import PATIENCE, Exchange

PICTURE = bytes(range(256)) * 40


class Names:
    """A resolver with prepared answers, one after the other; the last one stays. `asked` holds the names in order."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        """Know these names and no others."""
        self.asked: list[str] = []
        self._answers = {name: list(several) for name, several in answers.items()}

    async def __call__(self, name: str) -> Sequence[str]:
        """Answer as a name server would."""
        self.asked.append(name)
        if name not in self._answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        several = self._answers[name]
        return several.pop(0) if len(several) > 1 else several[0]


async def show(exchange: Exchange) -> None:
    """Answer with a picture."""
    await exchange.answer(PICTURE, "200 OK", "Content-Type: image/png")


@asynccontextmanager
async def fetcher(
    *allow: str, resolver: Resolver | None = None, max_seconds: float = PATIENCE
) -> AsyncGenerator[GuardedFetcher]:
    """Open a fetcher that may connect to what is allowed beyond public addresses, and close it at the end."""
    opened = GuardedFetcher(FetchSettings(allow, max_seconds), resolver)
    try:
        yield opened
    finally:
        await opened.close()


async def refused(fetching: GuardedFetcher, url: str, *, max_bytes: int = 1_000_000, allow_origin: str = "") -> str:
    """Return why a URL is not fetched, although nothing is wrong with how it is written."""
    with pytest.raises(NotFetched) as caught:
        await fetching.fetch(url, max_bytes=max_bytes, allow_origin=allow_origin)
    assert caught.value.malformed is False
    assert caught.value.message == str(caught.value)
    return caught.value.message

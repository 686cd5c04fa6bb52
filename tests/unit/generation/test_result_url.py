"""Fetching what a provider answered as a URL: again where that can help, from where it is allowed."""

import asyncio
from collections.abc import Callable

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.generation import result_url
from imagegen_server.generation.result_url import result_fetcher
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.guarded_fetch import FetchSettings, GuardedFetcher, NotFetched
from imagegen_server.providers.registry import ProviderEntry

from tests.support.fetching import PICTURE, fetcher, show
from tests.support.generation import as_entry
from tests.support.http_server import Exchange, HttpServer
from tests.support.provider import ScriptedProvider

URL = "https://files.example/1.png?sig=secret"


class Web(GuardedFetcher):
    """A fetcher that gives what a test wants, one after the other. `asked` holds with what."""

    def __init__(self, *answers: bytes | NotFetched) -> None:
        """Know the answers."""
        super().__init__(FetchSettings())
        self.asked: list[tuple[str, int, str]] = []
        self.came = asyncio.Event()
        self._answers = list(answers)

    async def fetch(
        self, url: str, *, max_bytes: int, allow_origin: str = "", on_bytes: Callable[[int], None] | None = None
    ) -> bytes:
        """Give the next answer."""
        assert on_bytes is None
        self.asked.append((url, max_bytes, allow_origin))
        self.came.set()
        answer = self._answers.pop(0)
        if isinstance(answer, NotFetched):
            raise answer
        return answer


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no wait take its time, and tell which there were."""
    seen: list[float] = []

    async def note(seconds: float) -> None:
        seen.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    return seen


def remote(base_url: str) -> ProviderEntry:
    """Register a provider that is reached by HTTP."""
    return ProviderEntry("studio", "openai", ScriptedProvider(), 600.0, HttpClient(HttpSettings(base_url)))


async def refused(web: GuardedFetcher, entry: ProviderEntry | None = None, url: str = URL) -> ImageError:
    """Fetch in vain."""
    with pytest.raises(ImageError) as caught:
        await result_fetcher(web)(entry or as_entry(name="studio"), url)
    return caught.value


async def test_what_is_there_is_fetched_once(waits: list[float]) -> None:
    """With the limit of an image, and the origin of the provider for one that has an address of its own."""
    web = Web(PICTURE, PICTURE)
    entry = remote("http://127.0.0.1:8080/v1")

    assert await result_fetcher(web)(entry, URL) == PICTURE
    assert await result_fetcher(web)(as_entry(), URL) == PICTURE
    assert web.asked[0][:2] == (URL, MAX_IMAGE_BYTES)
    assert web.asked[0][2].startswith("http://127.0.0.1:8080/")
    assert web.asked[1] == (URL, MAX_IMAGE_BYTES, "")
    assert waits == []
    assert entry.http is not None
    await entry.http.close()


async def test_what_is_not_there_yet_is_fetched_again(waits: list[float]) -> None:
    """Up to three times in all, each later than the one before."""
    web = Web(NotFetched("a"), NotFetched("b"), PICTURE)

    assert await result_fetcher(web)(as_entry(), URL) == PICTURE
    assert len(web.asked) == 3
    assert waits == sorted(set(waits))
    assert len(waits) == 2
    assert waits[0] > 0


async def test_what_never_comes_is_an_invalid_response(waits: list[float]) -> None:
    """It says what was wrong the last time, of which provider, and that the picture may have been paid for."""
    web = Web(NotFetched("a"), NotFetched("b"), NotFetched("files.example answered 403"))
    error = await refused(web)

    assert (error.reason, error.billed) == (Reason.INVALID_RESPONSE, Billed.UNKNOWN)
    assert error.message == "the image of studio could not be fetched: files.example answered 403"
    assert len(web.asked) == 3
    assert len(waits) == 2


@pytest.mark.parametrize("why", [NotFetched("x", malformed=True), NotFetched("x", refused=True)])
async def test_what_another_try_cannot_help_is_tried_once(why: NotFetched, waits: list[float]) -> None:
    """A URL that is none, and one that leads to where it is not allowed."""
    web = Web(why)

    assert (await refused(web)).reason is Reason.INVALID_RESPONSE
    assert len(web.asked) == 1
    assert waits == []


async def test_a_wait_ends_when_nobody_waits_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling is felt between two tries."""
    monkeypatch.setattr(result_url, "WAITS", (3600.0,))
    web = Web(NotFetched("a"), PICTURE)
    work = asyncio.ensure_future(result_fetcher(web)(as_entry(), URL))
    await web.came.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert len(web.asked) == 1


async def test_the_providers_own_origin_lends_nothing_to_others() -> None:
    """Its address may be inside; another port of the same address is another place, and is told nothing."""
    async with HttpServer(show) as own, HttpServer(show) as other, fetcher() as fetching:
        entry = remote(f"{own.url}/v1")
        assert await result_fetcher(fetching)(entry, f"{own.url}/files/1.png") == PICTURE
        error = await refused(fetching, entry, f"{other.url}/1.png?sig=secret")
        assert entry.http is not None
        await entry.http.close()

    assert [request.line for request in own.requests] == ["GET /files/1.png HTTP/1.1"]
    assert other.connections == 0
    assert "not public" in error.message
    assert "secret" not in error.message


async def test_an_answer_of_an_overloaded_server_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 503 with a body is followed by another try; what a 200 says is taken."""
    monkeypatch.setattr(result_url, "WAITS", (0.0,))

    async def overloaded_once(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await exchange.answer(b"busy", "503 Service Unavailable")
        else:
            await show(exchange)

    async with HttpServer(overloaded_once) as server, fetcher("127.0.0.1") as fetching:
        assert await result_fetcher(fetching)(as_entry(), server.url) == PICTURE
    assert len(server.requests) == 2

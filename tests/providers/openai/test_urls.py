"""Pictures that come as URLs: fetched at once, without the key, and only from where it is allowed."""

import asyncio
import base64
import math
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
import structlog
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, ProviderEvent, Report
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.generation import result_url
from imagegen_server.http import encoded_image
from imagegen_server.http.guarded_fetch import FetchSettings
from imagegen_server.providers.base import Call
from imagegen_server.providers.openai import OpenAISettings
from imagegen_server.providers.registry import Registry

from tests.support.generation import drawing, events_of
from tests.support.http_server import PATIENCE, Exchange, HttpServer
from tests.support.openai_api import FakeOpenAI, fake_openai
from tests.support.openai_provider import MODEL, openai_entry, openai_workshop
from tests.support.pictures import png
from tests.support.vendor import Answer, json_answer

PICTURE = png(16, 16)
ENCODED = base64.b64encode(PICTURE).decode()
HERE = FetchSettings(("127.0.0.1",))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch again without a wait."""
    monkeypatch.setattr(result_url, "WAITS", (0.0, 0.0))


def answered(*items: dict[str, Any]) -> Answer:
    """Say that these are the images."""
    return json_answer(200, {"data": items, "usage": {"input_tokens": 3, "output_tokens": 4}})


def at_origin(fake: FakeOpenAI, path: str = "/files/1.png?sig=abc") -> str:
    """Name a place at the provider's own origin."""
    return fake.base_url.removesuffix("/v1") + path


def file(status: int = 200, **headers: str) -> Answer:
    """Say what a server of files says."""
    return Answer(status, {"content-type": "image/png", **headers}, [PICTURE], checks=False)


async def show(exchange: Exchange) -> None:
    """Answer with the picture."""
    await exchange.answer(PICTURE, "200 OK", "Content-Type: image/png")


async def test_a_picture_at_the_providers_own_origin_is_fetched_without_the_key() -> None:
    """The origin is loopback and allowed nowhere else; nothing of what we are to the vendor goes along."""
    settings = OpenAISettings(organization="org-1", project="proj-1")
    async with openai_workshop(settings=settings) as made:
        made.fake.answer_next(answered({"url": at_origin(made.fake), "revised_prompt": "a ship"}), file())
        result = await made.workshop.result(drawing(MODEL))
    asked, fetched = made.fake.requests
    (image,) = result.images

    assert image.image.facts.width == 16
    assert image.image.size_bytes == len(PICTURE)
    assert image.revised_prompt == "a ship"
    assert (result.attempts[0].billed, result.attempts[0].outcome) == (Billed.YES, AttemptOutcome.ACCEPTED)
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.output_tokens) == (1, 4)
    assert asked.headers["authorization"] == "Bearer sk-test"
    assert (fetched.method, fetched.path, fetched.body) == ("GET", "/files/1.png", b"")
    sent = {name.lower() for name in fetched.headers}
    assert sent <= {"host", "user-agent", "accept", "accept-encoding", "connection"}


async def test_a_picture_at_another_origin_is_fetched_where_that_is_allowed() -> None:
    """One request, without the key; the same place is refused, unasked, where the operator says nothing of it."""
    async with HttpServer(show) as files:
        for fetch, fetched in ((FetchSettings(), 0), (HERE, 1)):
            async with openai_workshop(fetch=fetch) as made:
                made.fake.answer_next(answered({"url": f"{files.url}/1.png"}))
                events = await made.workshop.run(drawing(MODEL))
            assert len(made.fake.requests) == 1
            assert len(files.requests) == fetched
            assert type(events[-1]).__name__ == ("Finished" if fetched else "Broken")
    (request,) = files.requests

    assert request.line == "GET /1.png HTTP/1.1"
    assert "sk-test" not in request.head.decode()
    assert "authorization" not in {name.lower() for name in request.headers}


async def test_a_redirect_from_the_providers_origin_to_loopback_is_refused() -> None:
    """Its origin is trusted, where it points to is not; that is asked once, and no connection made."""
    async with HttpServer(show) as inside, openai_workshop() as made:
        made.fake.answer_next(
            answered({"url": at_origin(made.fake)}), file(302, location=f"{inside.url}/secret?token=abc")
        )
        broken = await made.workshop.broken(drawing(MODEL))

    assert inside.connections == 0
    assert len(made.fake.requests) == 2
    assert (broken.error.reason, broken.error.billed) == (Reason.INVALID_RESPONSE, Billed.UNKNOWN)
    assert "not public" in broken.error.message
    assert "abc" not in broken.error.message
    assert broken.error.provider_request_id == "req_" + "0" * 31 + "1"


async def test_a_picture_that_is_not_there_yet_is_fetched_again() -> None:
    """The picture is paid for: it alone is asked for again, not the vendor."""
    async with openai_workshop() as made:
        made.fake.answer_next(answered({"url": at_origin(made.fake)}), file(503), file(404), file())
        result = await made.workshop.result(drawing(MODEL))

    assert len(result.images) == len(result.attempts) == 1
    assert [request.method for request in made.fake.requests] == ["POST", "GET", "GET", "GET"]


async def test_a_picture_that_is_too_large_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its length is held against what an image may have."""
    monkeypatch.setattr(result_url, "MAX_IMAGE_BYTES", len(PICTURE) - 1)
    async with HttpServer(show) as files, openai_workshop(fetch=HERE) as made:
        made.fake.answer_next(answered({"url": files.url}))
        broken = await made.workshop.broken(drawing(MODEL))

    assert broken.error.reason is Reason.INVALID_RESPONSE
    assert f"longer than {len(PICTURE) - 1} bytes" in broken.error.message


async def test_several_are_fetched_side_by_side_and_fail_one_by_one() -> None:
    """None is answered before all have been asked for; one that is gone takes no other along."""
    together = asyncio.Barrier(3)
    asked: set[str] = set()

    async def files_of(exchange: Exchange) -> None:
        path = exchange.received.line.split()[1]
        if path not in asked:
            asked.add(path)
            async with asyncio.timeout(PATIENCE):
                await together.wait()
        await (exchange.answer(b"", "404 Not Found") if path == "/gone" else show(exchange))

    async with HttpServer(files_of) as files, openai_workshop(fetch=HERE) as made:
        first, third, fourth = ({"url": f"{files.url}/{name}"} for name in ("0", "gone", "3"))
        made.fake.answer_next(answered(first, {"b64_json": ENCODED}, third, fourth))
        result = await made.workshop.result(drawing(MODEL, count=4))

    assert sorted(image.index for image in result.images) == [0, 1, 3]
    assert [(failure.index, failure.error.reason) for failure in result.failures] == [(2, Reason.INVALID_RESPONSE)]
    assert sorted(request.line.split()[1] for request in files.requests) == ["/0", "/3", "/gone", "/gone", "/gone"]
    assert len(made.fake.requests) == 1


async def test_a_fetch_that_is_stopped_was_bought_all_the_same() -> None:
    """Cancelling closes the connection to the picture, and the attempt was accepted."""
    gone = asyncio.Event()

    async def stall(exchange: Exchange) -> None:
        await exchange.closed_by_peer()
        gone.set()

    async with HttpServer(stall) as files, openai_workshop(fetch=HERE) as made:
        made.fake.answer_next(answered({"url": files.url}))
        async with made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await files.arrived(1)
            generation.stop(ImageError(Reason.CANCELLED, "stopped"))
            broken = (await events_of(generation))[-1]
        async with asyncio.timeout(10):
            await gone.wait()

    assert isinstance(broken, Broken)
    assert (broken.error.reason, broken.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)
    assert broken.failure.attempts[0].outcome is AttemptOutcome.ACCEPTED


class Watched:
    """A call whose fetches hang, and the order in which things were told."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self.told: list[str] = []

    async def fetch(self, url: str) -> bytes:
        """Hang until cancelled."""
        self.told.append(f"fetch {url}")
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append("cancelled")
        raise AssertionError

    def call(self, fake: FakeOpenAI, provider: Any) -> Call:
        """Make the call."""
        return Call(
            math.inf,
            structlog.get_logger(),
            lambda _request_id: self.told.append("accepted"),
            http=provider.http,
            key=Secret(fake.key),
            fetch=self.fetch,
        )


async def test_the_task_is_accepted_before_anything_is_fetched() -> None:
    """What the answer holds itself comes first, and leaving ends the fetches."""
    watched = Watched()
    seen: list[ProviderEvent] = []
    async with fake_openai() as fake:
        entry = openai_entry(fake.base_url)
        fake.answer_next(answered({"url": "http://a.example/0"}, {"b64_json": ENCODED}))
        task = Task(Operation.GENERATE, "gpt-image-2", "a boat", Options(count=2))
        async with aclosing(entry.provider.run(task, watched.call(fake, entry))) as events:
            async for event in events:
                seen.append(event)
                if isinstance(event, Complete):
                    await asyncio.sleep(0)  # the fetches begin
                    break
        await Registry([entry]).close()

    assert [type(event) for event in seen] == [Report, Complete]
    assert isinstance(seen[1], Complete)
    assert seen[1].index == 1
    assert watched.told[0] == "accepted"
    assert [told for told in watched.told if told != "accepted"] == ["fetch http://a.example/0", "cancelled"]


@pytest.mark.parametrize(
    "item",
    [
        {"url": f"data:image/png;base64,{ENCODED}"},
        {"url": f"DATA:;base64,{ENCODED}", "b64_json": ""},
        {"url": f"data:image/png;base64,{ENCODED}", "b64_json": None},
        {"url": "http://10.0.0.1/1.png", "b64_json": ENCODED},
    ],
    ids=["data", "beside-nothing", "beside-null", "b64-wins"],
)
async def test_what_the_answer_holds_is_not_fetched(item: dict[str, Any]) -> None:
    """A data URL is the picture itself, and base64 is taken before any URL."""
    async with openai_workshop() as made:
        made.fake.answer_next(answered(item))
        result = await made.workshop.result(drawing(MODEL))

    assert [image.image.size_bytes for image in result.images] == [len(PICTURE)]


def too_large(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a data URL of one byte more than may be."""
    monkeypatch.setattr(encoded_image, "MAX_IMAGE_BYTES", 4_000)
    return "data:image/png;base64," + base64.b64encode(bytes(4_001)).decode()


@pytest.mark.parametrize("what", ["data:image/svg+xml,%3Csvg/%3E", "data:", "data:image/png;base64,%%%", "large"])
async def test_a_data_url_that_is_no_image_fails(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is too large, before it is decoded."""
    url = too_large(monkeypatch) if what == "large" else what
    async with openai_workshop() as made:
        made.fake.answer_next(answered({"url": url}))
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (Reason.INVALID_RESPONSE, Billed.UNKNOWN)
    assert ("more than 4000 bytes" in broken.error.message) == (what == "large")


@pytest.mark.parametrize("urls", [["ftp://127.0.0.1/1.png"], ["file:///etc/passwd"], [""], [None], [7], [["x"]], [{}]])
async def test_what_is_no_url_fails(urls: Sequence[object]) -> None:
    """Whatever stands there, it is an answer without the picture, and not sent for again."""
    async with openai_workshop(fetch=HERE) as made:
        made.fake.answer_next(answered(*({"url": url} for url in urls)))
        broken = await made.workshop.broken(drawing(MODEL))

    assert isinstance(broken.error, ImageError)
    assert broken.error.reason is Reason.INVALID_RESPONSE
    assert len(made.fake.requests) == 1

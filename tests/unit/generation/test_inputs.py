"""Input images that are elsewhere: what is fetched, what is counted, and what is said of those that are missing."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.domain.image import MAX_IMAGE_BYTES, UNREADABLE, InputImage
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import StoredImage
from imagegen_server.domain.task import ImageReference, Operation, Options, Wish
from imagegen_server.generation.admission import Admission, AdmissionSettings, Ticket
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.inputs import Inputs, read_input
from imagegen_server.generation.store import StoreSettings
from imagegen_server.http.guarded_fetch import FetchSettings, GuardedFetcher, NotFetched
from imagegen_server.images.facts import read_facts
from imagegen_server.store.memory import MemoryStore

from tests.support.pictures import png

CALLER = "me"
ROOM = 1024 * 1024 * 1024
Page = bytes | Exception | Callable[[], Awaitable[bytes]]


class Web(GuardedFetcher):
    """Stands for the internet: what is at each URL."""

    def __init__(self, **pages: Page) -> None:
        """Hold pages by the last part of their URL."""
        super().__init__(FetchSettings())
        self.pages = pages
        self.asked: list[str] = []
        self.most: set[int] = set()

    async def fetch(
        self, url: str, *, max_bytes: int, allow_origin: str = "", on_bytes: Callable[[int], None] | None = None
    ) -> bytes:
        """Answer from the pages, in two pieces."""
        assert not allow_origin
        self.asked.append(url)
        self.most.add(max_bytes)
        page = self.pages[url.rpartition("/")[2]]
        if isinstance(page, Exception):
            raise page
        data = page if isinstance(page, bytes) else await page()
        assert on_bytes is not None
        on_bytes(len(data) // 2)
        on_bytes(len(data) - len(data) // 2)
        return data


@dataclass
class Desk:
    """Inputs with all that they need within reach."""

    web: Web
    store: MemoryStore = field(default_factory=lambda: MemoryStore(StoreSettings(), Ids()))
    admission: Admission = field(default_factory=lambda: Admission(AdmissionSettings()))
    wrong: list[Violation] = field(default_factory=list)
    ticket: Ticket = field(init=False)

    def __post_init__(self) -> None:
        """Take one call in hand."""
        self.ticket = self.admission.admit(0)

    async def resolve(self, wish: Wish, caller: str = CALLER) -> Wish:
        """Fetch what the wish refers to."""
        return await Inputs(self.store, self.web).resolve(wish, caller, self.ticket, self.wrong)

    async def refused(self, wish: Wish, caller: str = CALLER) -> ImageError:
        """Fail to."""
        with pytest.raises(ImageError) as caught:
            await self.resolve(wish, caller)
        return caught.value

    async def put(self, data: bytes, metadata: Mapping[str, JsonObject] | None = None) -> StoredImage:
        """Keep a result of the caller's."""
        facts = read_facts(data)
        assert facts is not None
        digest = hashlib.sha256(data).hexdigest()
        return await self.store.put(CALLER, data, facts, digest, await self.store.reserve(len(data)), metadata=metadata)


def editing(*sources: str | bytes, mask: str = "", metadata: Mapping[str, JsonObject] | None = None) -> Wish:
    """Wish for an edit of images given by bytes, by id ("img_...") or by the last part of a URL."""
    images: list[InputImage] = []
    references = []
    for position, source in enumerate(sources):
        if isinstance(source, bytes):
            images.append(read_input(source, "input", [], {}))
        else:
            images.append(UNREADABLE)
            references.append(refer(source, f"input.images[{position}]", position, metadata))
    if mask:
        references.append(refer(mask, "input.mask", None, metadata))
    wish = Wish(Operation.EDIT, "test/any", "a boat", Options(), images=tuple(images), references=tuple(references))
    return replace(wish, mask=UNREADABLE if mask else None)


def refer(source: str, field: str, position: int | None, metadata: Mapping[str, JsonObject] | None) -> ImageReference:
    """Refer to an image."""
    stored = source.startswith("img_") or "_" in source
    where = {"image_id": source} if stored else {"url": f"https://example.com/{source}"}
    return ImageReference(field, position, **where, metadata=metadata or {})


async def test_every_image_comes_to_its_place() -> None:
    """From URLs, from the store and from the request, in the order of the request, with the mask; none is left over."""
    desk = Desk(Web(one=png(shade=1), mask=png(shade=9)))
    image = await desk.put(png(shade=3))

    wish = await desk.resolve(editing("one", png(shade=2), image.image_id, mask="mask"))

    assert [image.data for image in wish.images] == [png(shade=1), png(shade=2), png(shade=3)]
    assert all((image.facts.media_type, image.facts.width) == ("image/png", 8) for image in wish.images)
    assert wish.mask is not None
    assert wish.mask.data == png(shade=9)
    assert (wish.references, desk.wrong) == ((), [])
    assert (wish.model, wish.prompt) == ("test/any", "a boat")


async def test_a_wish_without_references_is_left_alone() -> None:
    """Nothing is fetched and nothing counted."""
    desk = Desk(Web())
    wish = editing(png())

    assert await desk.resolve(wish) is wish
    assert desk.admission.bytes_in_flight == 0


async def test_metadata_of_a_result_goes_along() -> None:
    """What its provider said comes back without the caller's doing; what the caller gives wins, name by name."""
    desk = Desk(Web(one=png()))
    image = await desk.put(png(), {"google": {"thought": "x", "n": 1}, "openai": {"id": "y"}})

    plain = await desk.resolve(editing(image.image_id))
    given = await desk.resolve(editing(image.image_id, "one", metadata={"google": {"thought": "mine"}}))

    assert plain.images[0].metadata == {"google": {"thought": "x", "n": 1}, "openai": {"id": "y"}}
    assert given.images[0].metadata == {"google": {"thought": "mine"}, "openai": {"id": "y"}}
    assert given.images[1].metadata == {"google": {"thought": "mine"}}


async def test_an_upload_can_be_an_input() -> None:
    """Its id is as good as that of a result."""
    desk = Desk(Web())
    digest = hashlib.sha256(png()).hexdigest()
    await desk.store.add_piece(CALLER, digest, len(png()), 0, png())
    image = await desk.store.finish_upload(CALLER, digest, read_input(png(), "data", [], {}).facts)

    assert (await desk.resolve(editing(image.image_id))).images[0].data == png()


async def test_using_an_image_does_not_deliver_it() -> None:
    """Its caller has not received it yet, so it must not go."""
    desk = Desk(Web())
    image = await desk.put(png())

    await desk.resolve(editing(image.image_id))

    assert desk.store.undelivered == 1


async def test_all_urls_are_fetched_side_by_side() -> None:
    """Each waits until all were asked for, and each may be as large as any image."""
    together = asyncio.Barrier(3)

    async def wait() -> bytes:
        await together.wait()
        return png()

    desk = Desk(Web(a=wait, b=wait, m=wait))
    async with asyncio.timeout(10):
        await desk.resolve(editing("a", "b", mask="m"))

    assert desk.web.most == {MAX_IMAGE_BYTES}


async def test_real_sizes_are_counted_in_the_end() -> None:
    """A URL counts as what has come of it, a stored image as what it is; one that failed counts nothing."""
    during = []

    async def look() -> bytes:
        during.append(desk.admission.bytes_in_flight)
        return png()

    desk = Desk(Web(a=look, b=NotFetched("example.com answered 404")))
    image = await desk.put(png(shade=5))

    await desk.resolve(editing("a", image.image_id))
    assert during == [len(png(shade=5))]
    assert desk.admission.bytes_in_flight == len(png()) + len(png(shade=5))
    await desk.refused(editing("b"))
    assert desk.admission.bytes_in_flight == len(png()) + len(png(shade=5))


@pytest.mark.parametrize("stored", [False, True])
async def test_what_finds_no_room_is_not_kept(stored: bool) -> None:
    """SERVER_BUSY with a wait, before anything is asked for if a stored image is too much, else as soon as it comes."""
    desk = Desk(Web(a=png()), admission=Admission(AdmissionSettings(max_bytes_in_flight=100)))
    image = await desk.put(png())
    desk.admission.admit(90)

    error = await desk.refused(editing(image.image_id if stored else "a", "a"))

    assert (error.reason, error.retry_after is not None) == (Reason.SERVER_BUSY, True)
    assert len(desk.web.asked) == (0 if stored else 2)
    assert desk.admission.bytes_in_flight == 90


async def test_urls_that_say_nothing_keep_nobody_out() -> None:
    """Sixteen that hang count nothing, so that others are taken meanwhile."""
    hanging = asyncio.Event()
    asked = asyncio.Semaphore(0)

    async def hang() -> bytes:
        asked.release()
        await hanging.wait()
        return b""

    desk = Desk(Web(a=hang))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(desk.resolve(editing(*("a" for _ in range(16)))))
        for _ in range(16):
            await asked.acquire()

        assert desk.admission.bytes_in_flight == 0
        task.cancel()


async def test_all_that_is_not_there_is_named() -> None:
    """The first of them gives the reason, each its field and what happened; nothing was paid for."""
    desk = Desk(Web(a=NotFetched("example.com answered 404"), b=NotFetched("b is not public"), good=png()))

    error = await desk.refused(editing("a", "good", "img_gone", mask="b"))

    assert (error.reason, error.billed) == (Reason.INPUT_NOT_FETCHED, Billed.NO)
    found = {violation.field: violation.description for violation in error.violations}
    assert list(found) == ["input.images[0].url", "input.images[2].image_id", "input.mask.url"]
    assert found["input.images[0].url"] == "example.com answered 404"
    assert error.message == "input.images[0].url: example.com answered 404 (and 2 more)"


@pytest.mark.parametrize(
    ("foreign", "reason"), [(False, Reason.IMAGE_NOT_FOUND), (True, Reason.WRONG_INSTANCE)], ids=["gone", "elsewhere"]
)
async def test_an_id_that_is_not_there_keeps_its_reason(foreign: bool, reason: Reason) -> None:
    """Whoever asks another instance or uploads again must know which of the two to do."""
    desk = Desk(Web())

    error = await desk.refused(editing(png(), Ids().new("img") if foreign else "img_gone"))

    assert error.reason is reason
    assert [violation.field for violation in error.violations] == ["input.images[1].image_id"]


async def test_another_callers_image_is_not_there() -> None:
    """An id is good for nobody else."""
    desk = Desk(Web())
    image = await desk.put(png())

    assert (await desk.refused(editing(image.image_id), "you")).reason is Reason.IMAGE_NOT_FOUND


async def test_a_url_that_is_none_is_a_wrong_field() -> None:
    """It is appended to what is wrong with the request, which is told as a whole."""
    desk = Desk(Web(a=NotFetched("is no URL", malformed=True)))

    wish = await desk.resolve(editing("a"))

    assert desk.wrong == [Violation("input.images[0].url", "is no URL")]
    assert wish.images == (UNREADABLE,)
    assert wish.references == ()


async def test_what_is_no_image_is_a_wrong_field() -> None:
    """A page instead of a picture, or a stored picture of a type that is no input, is told by where it came from."""
    desk = Desk(Web(a=b"<html>", m=png()[:20]))
    svg = await desk.put(b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>')

    await desk.resolve(editing("a", svg.image_id, mask="m"))

    found = {violation.field: violation.description for violation in desk.wrong}
    assert list(found) == ["input.images[0].url", "input.images[1].image_id", "input.mask.url"]
    assert "no image" in found["input.images[0].url"]
    assert "image/svg+xml" in found["input.images[1].image_id"]
    assert "cut short" in found["input.mask.url"]


async def test_what_is_missing_joins_what_is_wrong() -> None:
    """A request that is wrong already stays INVALID_REQUEST, and tells of the missing image too."""
    desk = Desk(Web(a=NotFetched("example.com answered 404")), wrong=[Violation("options.count", "must be at least 1")])

    await desk.resolve(editing("a"))

    assert [violation.field for violation in desk.wrong] == ["options.count", "input.images[0].url"]


async def test_leaving_ends_every_fetch() -> None:
    """Who is cancelled leaves nothing running behind."""
    started, ended = asyncio.Semaphore(0), []

    async def forever() -> bytes:
        started.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)
        return b""

    desk = Desk(Web(a=forever, b=forever))
    task = asyncio.create_task(desk.resolve(editing("a", "b")))
    await started.acquire()
    await started.acquire()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(ended) == 2


async def test_a_fault_ends_the_other_fetches() -> None:
    """What nobody expected stops the call, and nothing of it runs on."""
    started, ended = asyncio.Event(), []

    async def forever() -> bytes:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)
        return b""

    async def broken() -> bytes:
        await started.wait()
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await Desk(Web(a=forever, b=broken)).resolve(editing("a", "b"))
    assert ended == [1]


async def test_a_store_that_fails_is_not_a_missing_image() -> None:
    """Its own reason comes through, so that the call can be made again."""
    desk = Desk(Web())

    async def fail(caller: str, image_id: str) -> tuple[StoredImage, bytes]:
        raise ImageError(Reason.STORE_UNAVAILABLE, "the store does not answer")

    desk.store.get = fail  # type: ignore[method-assign]

    error = await desk.refused(editing("img_1"))
    assert (error.reason, error.message, error.violations) == (
        Reason.STORE_UNAVAILABLE,
        "the store does not answer",
        (),
    )


async def test_the_guarded_fetcher_is_what_fetches() -> None:
    """With the real one an address inside is fetched only if the operator allows it, and no URL is told back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(png()) + png())
        await writer.drain()
        writer.close()

    desk = Desk(Web())
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as web:
        url = f"http://127.0.0.1:{web.sockets[0].getsockname()[1]}/cat.png?key=secret"
        wish = replace(editing("a"), references=(ImageReference("input.images[0]", 0, url=url),))
        refusing, allowing = GuardedFetcher(FetchSettings()), GuardedFetcher(FetchSettings(allow=("127.0.0.1",)))
        try:
            with pytest.raises(ImageError, match=r"127\.0\.0\.1") as caught:
                await Inputs(desk.store, refusing).resolve(wish, CALLER, desk.ticket, desk.wrong)
            found = await Inputs(desk.store, allowing).resolve(wish, CALLER, desk.ticket, desk.wrong)
        finally:
            await refusing.close()
            await allowing.close()

    assert caught.value.reason is Reason.INPUT_NOT_FETCHED
    assert "secret" not in f"{caught.value} {caught.value.violations}"
    assert found.images[0].data == png()

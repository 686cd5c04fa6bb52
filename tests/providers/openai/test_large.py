"""Answers of tens of megabytes: whole, and one image that is too large costs only itself."""

import asyncio
import hashlib
import random
import zlib

import pybase64
import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken, Finished, ImageFinished, LogEvent, PreviewShown
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.providers.openai import answer as answer_module

from tests.support.generation import drawing
from tests.support.openai_provider import MODEL, openai_workshop
from tests.support.pictures import png
from tests.support.vendor import Answer, event_answer

MIB = 1024 * 1024
JSON = {"content-type": "application/json"}
_END_CHUNK = 12
_ABOUT_CHUNK = 12
"""Length, type and CRC."""


def padded(size: int, seed: int = 0) -> bytes:
    """Make a valid PNG of exactly so many bytes: a small picture with a private chunk of noise."""
    small = png(shade=seed)
    block = random.Random(seed).randbytes(65_536)
    length = size - len(small) - _ABOUT_CHUNK
    content = b"paDd" + block * (length // len(block)) + block[: length % len(block)]
    chunk = length.to_bytes(4) + content + zlib.crc32(content).to_bytes(4)
    return small[:-_END_CHUNK] + chunk + small[-_END_CHUNK:]


def whole(*pictures: bytes) -> Answer:
    """Answer with one JSON."""
    items = b",".join(b'{"b64_json":"' + pybase64.b64encode(picture) + b'"}' for picture in pictures)
    return Answer(200, JSON, [b'{"created":1,"data":[' + items + b"]}"])


def event(kind: str, picture: bytes) -> bytes:
    """Write one event of a stream."""
    head = f'event: image_generation.{kind}\ndata: {{"type":"image_generation.{kind}","b64_json":"'
    return head.encode() + pybase64.b64encode(picture) + b'"}\n\n'


async def run(answer: Answer, *, count: int = 1, previews: int = 0) -> list[LogEvent]:
    """Draw, and be answered so."""
    async with openai_workshop() as made:
        made.fake.answer_next(answer)
        return await made.workshop.run(drawing(MODEL, count=count, preview_count=previews))


def finished(log: list[LogEvent]) -> dict[int, bytes]:
    """The hashes of the images by index."""
    return {
        event.generated.index: hashlib.sha256(event.data).digest() for event in log if isinstance(event, ImageFinished)
    }


async def test_ten_large_images_in_one_answer() -> None:
    """40 MiB of pictures come byte for byte and in order."""
    pictures = [padded(4 * MIB, seed) for seed in range(10)]

    log = await run(whole(*pictures), count=10)

    assert finished(log) == {index: hashlib.sha256(picture).digest() for index, picture in enumerate(pictures)}


async def test_an_image_of_64_mib() -> None:
    """The largest there is."""
    picture = padded(MAX_IMAGE_BYTES)

    assert finished(await run(whole(picture))) == {0: hashlib.sha256(picture).digest()}


async def test_an_image_of_64_mib_in_a_stream() -> None:
    """In one line of 85 MiB, behind a preview."""
    picture, preview = padded(MAX_IMAGE_BYTES), padded(MIB, 1)

    log = await run(event_answer(event("partial_image", preview), event("completed", picture)), previews=1)

    assert [event.data for event in log if isinstance(event, PreviewShown)] == [preview]
    assert finished(log) == {0: hashlib.sha256(picture).digest()}


async def test_an_image_above_64_mib_fails_alone() -> None:
    """Its neighbours in the same answer are there."""
    pictures = [padded(2 * MIB), padded(MAX_IMAGE_BYTES + 3, 1), padded(MIB, 2)]

    log = await run(whole(*pictures), count=3)

    assert finished(log) == {index: hashlib.sha256(pictures[index]).digest() for index in (0, 2)}
    last = log[-1]
    assert isinstance(last, Finished)
    (failure,) = last.result.failures
    assert (failure.index, failure.error.reason) == (1, Reason.INVALID_RESPONSE)
    assert failure.error.billed is Billed.UNKNOWN
    assert str(MAX_IMAGE_BYTES) in failure.error.message


async def test_an_answer_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can no longer be the images that were asked for is not read on, and the vendor sees that."""
    monkeypatch.setattr(answer_module, "MAX_IMAGE_BYTES", 1000)
    endless = Answer(200, JSON, [b'{"data":[{"b64_json":"', b"A" * 2 * MIB, asyncio.Event()])
    async with openai_workshop() as made:
        made.fake.answer_next(endless)
        (last,) = (await made.workshop.run(drawing(MODEL)))[-1:]
        async with asyncio.timeout(10):
            await endless.client_gone.wait()

    assert isinstance(last, Broken)
    assert last.error.reason is Reason.INVALID_RESPONSE
    assert last.error.provider_request_id.startswith("req_")


@pytest.mark.parametrize("status", [400, 500])
async def test_an_error_without_end_is_left(status: int) -> None:
    """The status says what there is to say."""
    endless = Answer(status, JSON, [b" " * 2 * MIB, asyncio.Event()])
    async with openai_workshop() as made:
        made.fake.answer_next(endless)
        broken = await made.workshop.broken(drawing(MODEL))
        async with asyncio.timeout(10):
            await endless.client_gone.wait()

    assert broken.error.http_status == status
    assert broken.error.reason is (Reason.INVALID_REQUEST if status == 400 else Reason.PROVIDER_ERROR)
    assert broken.error.provider_request_id.startswith("req_")


async def test_a_failure_whose_words_break_off_is_known_by_its_status() -> None:
    """A 429 is a 429, also if the connection breaks in its body."""
    broken_off = Answer(429, JSON | {"retry-after": "7"}, [b"", b'{"error": '], breaks_off=True)
    async with openai_workshop() as made:
        made.fake.answer_next(broken_off)
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (Reason.RATE_LIMITED, Billed.NO)
    assert broken.error.retry_after == 7


async def test_a_connection_that_breaks_in_a_body_has_an_id_to_ask_with() -> None:
    """The vendor had told its id of the request before."""
    async with openai_workshop() as made:
        made.fake.answer_next(Answer(200, JSON, [b"", b'{"data": '], breaks_off=True))
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (Reason.NETWORK_ERROR, Billed.UNKNOWN)
    assert broken.error.provider_request_id == f"req_{1:032x}"

"""Two servers that share a Redis, one with a clock that is ahead and one behind: all times are those of Redis."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.generation.elsewhere import GONE_SECONDS, WAIT_SECONDS
from redis.asyncio import Redis

from tests.support.calls import generate, refusal, watch
from tests.support.faults_setup import KEY, OPENAI_MODEL, PATIENCE, first, joined, read_image, resume, within
from tests.support.openai_api import FakeOpenAI, fake_openai
from tests.support.pictures import noisy_png
from tests.support.places import Place, places
from tests.support.redis_server import RedisServer
from tests.support.shared import refused, until
from tests.support.vendor import Answer
from tests.support.wrong_clock import set_clock

AHEAD, BEHIND = 3600.0, -7200.0
TTL = 900.0
SHORT_TTL = 3.0
PICTURE = noisy_png(500, 500)
DIGEST = hashlib.sha256(PICTURE).hexdigest()
WISH = {"size": {"width": 1024, "height": 1024}, "preview_count": 0}


def picture_answer(before: asyncio.Event | None = None) -> Answer:
    """Let the vendor answer with the picture, once an event is set."""
    body = json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(PICTURE).decode()}]}).encode()
    return Answer(headers={"content-type": "application/json"}, pieces=[body], before=before)


@asynccontextmanager
async def skewed(folder: Path, ttl: str = "15m") -> AsyncIterator[tuple[FakeOpenAI, Place, Place]]:
    """Start two servers whose clocks are wrong, and see that they are."""
    async with fake_openai(KEY) as vendor, places(vendor, folder, clocks=(AHEAD, BEHIND), ttl=ttl) as (one, other):
        for place, skew in ((one, AHEAD), (other, BEHIND)):
            difference = await time_in_log(place) - datetime.now(UTC)
            assert abs(difference.total_seconds() - skew) < 120
        yield vendor, one, other


async def time_in_log(place: Place) -> datetime:
    """Tell when a server began to serve, by its own clock."""
    async with asyncio.timeout(PATIENCE):
        while "\n" not in (log := place.server.log.read_text()):  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.01)
    return datetime.fromisoformat(json.loads(log.splitlines()[0])["timestamp"])


async def redis_time(redis: RedisServer) -> datetime:
    """Ask Redis for the time."""
    async with Redis.from_url(redis.url) as client:
        seconds, microseconds = await client.time()
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


def expiry(image: image_pb2.Image) -> datetime:
    """Tell when an image expires, as its caller is told."""
    return image.expire_time.ToDatetime(UTC)


async def facts(place: Place, image_id: str) -> image_pb2.Image:
    """Ask for what is known of an image."""
    async for part in place.images.ReadImage(image_service_pb2.ReadImageRequest(image_id=image_id)):
        return part.image
    raise AssertionError("no answer")


async def test_one_wish_at_both(tmp_path: Path) -> None:
    """Wherever it runs, the other joins it, resumes it in mid-image, replays it, and stops it; it is bought once."""
    async with skewed(tmp_path) as (vendor, ahead, behind):
        for here, there in ((ahead, behind), (behind, ahead)):
            request_id, bought = here.server.address, len(vendor.requests)
            request = generate(OPENAI_MODEL, options=WISH, request_id=request_id)
            vendor.answer_next(answer := picture_answer(go_on := asyncio.Event()))
            running = here.images.StreamGenerate(request, timeout=PATIENCE)
            before = await first(running, 1)
            await within(answer.asked)
            joining = there.images.StreamGenerate(request, timeout=PATIENCE)
            joined_before = await first(joining, 1)
            go_on.set()
            seen, joined_seen = await watch(joined(before, running)), await watch(joined(joined_before, joining))
            part = await first(there.images.Resume(resume(request_id=request_id), timeout=PATIENCE), 4)
            assert part[-1].HasField("chunk")
            rest = here.images.Resume(resume(part[-1].sequence, request_id=request_id), timeout=PATIENCE)
            resumed = await watch(joined(part, rest))
            replayed = await there.images.Generate(request, timeout=PATIENCE)

            assert seen.images == joined_seen.images == resumed.images == {0: PICTURE}
            assert seen.result == joined_seen.result == resumed.result
            assert replayed.images[0].image.image_id == seen.result.images[0].image.image_id
            assert len(vendor.requests) == bought + 1

            vendor.answer_next(answer := Answer(before=asyncio.Event()))
            stream = here.images.StreamGenerate(generate(OPENAI_MODEL, options=WISH), timeout=PATIENCE)
            generation_id = (await until(stream, "started")).started.generation_id
            await within(answer.asked)
            told = await there.images.Cancel(image_service_pb2.CancelRequest(generation_id=generation_id))
            await within(answer.client_gone)
            assert told.stopped
            assert (await refused(watch(stream))).reason == "CANCELLED"


async def test_times_that_are_told(tmp_path: Path) -> None:
    """expire_time of images and uploads is the same at both, and `ttl` from now by the clock of Redis."""
    request = generate(OPENAI_MODEL, options=WISH, request_id="mine", delivery={"mode": "DELIVERY_MODE_REFERENCE"})
    upload = image_service_pb2.UploadImageRequest(sha256=DIGEST, size_bytes=len(PICTURE), data=PICTURE)
    async with skewed(tmp_path) as (vendor, ahead, behind):
        redis = ahead.redis
        vendor.answer_next(picture_answer())
        start = await redis_time(redis)
        made = (await ahead.images.Generate(request)).images[0].image
        sent = (await behind.images.UploadImage(upload)).image
        end = await redis_time(redis)
        for image in (made, sent):
            assert start <= expiry(image) - timedelta(seconds=TTL) <= end
            for place in (ahead, behind):
                assert expiry(await facts(place, image.image_id)) == expiry(image)
                assert await read_image(place.images, image.image_id) == PICTURE
        assert (await behind.images.Generate(request)).images[0].image == made

        renewed = (await ahead.images.UploadImage(upload)).image
        assert renewed.image_id == sent.image_id
        assert end <= expiry(renewed) - timedelta(seconds=TTL) <= await redis_time(redis)
        assert expiry(await facts(behind, sent.image_id)) == expiry(renewed)


async def test_nothing_goes_too_early_or_too_late(tmp_path: Path) -> None:
    """What was made or uploaded, whole or in part, is there for its time at both servers, and gone after it."""
    request = generate(OPENAI_MODEL, options=WISH, delivery={"mode": "DELIVERY_MODE_REFERENCE"})
    upload = image_service_pb2.UploadImageRequest(sha256=DIGEST, size_bytes=len(PICTURE), data=PICTURE)
    half = image_service_pb2.UploadImageRequest(sha256="0" * 64, size_bytes=10, data=b"12345")
    ask_half = image_service_pb2.UploadImageRequest(sha256="0" * 64, size_bytes=10)
    async with skewed(tmp_path, ttl=f"{SHORT_TTL:g}s") as (vendor, ahead, behind):
        vendor.answer_next(picture_answer())
        made = (await ahead.images.Generate(request)).images[0].image
        sent = (await behind.images.UploadImage(upload)).image
        await behind.images.UploadImage(half)
        half_until = await redis_time(ahead.redis) + timedelta(seconds=SHORT_TTL)

        async def gone(place: Place, image_id: str) -> None:
            while True:
                await facts(place, image_id)
                await asyncio.sleep(0.05)

        async def half_gone(place: Place) -> datetime:
            while (await place.images.UploadImage(ask_half)).committed_bytes:  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.05)
            return await redis_time(place.redis)

        async def seen_out(place: Place, image: image_pb2.Image) -> None:
            error = await refused(gone(place, image.image_id))
            late = await redis_time(place.redis) - expiry(image)
            assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND")
            assert timedelta(0) <= late < timedelta(seconds=2)

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for place in (ahead, behind):
                for image in (made, sent):
                    group.create_task(seen_out(place, image))
            halves = [group.create_task(half_gone(place)) for place in (ahead, behind)]
        for task in halves:
            assert timedelta(seconds=-1) <= task.result() - half_until < timedelta(seconds=2)


async def test_an_image_that_redis_does_not_take_is_told_by_its_clock(tmp_path: Path) -> None:
    """The server that is cut off keeps it, and tells when it expires as Redis will.

    The machine's clock is put right meanwhile, by hours, and that does the image no harm either.
    """
    request = generate(OPENAI_MODEL, options=WISH, request_id="mine", delivery={"mode": "DELIVERY_MODE_REFERENCE"})
    async with skewed(tmp_path) as (vendor, ahead, behind):
        vendor.answer_next(answer := picture_answer(go_on := asyncio.Event()))
        stream = behind.images.StreamGenerate(request)
        await until(stream, "started")
        await within(answer.asked)
        behind.relay.refuse()
        behind.relay.cut()
        start = await redis_time(behind.redis)
        go_on.set()
        image = (await watch(stream)).result.images[0].image
        end = await redis_time(behind.redis)
        slack = timedelta(seconds=2)  # as well as this server knows the clock of Redis
        assert start - slack <= expiry(image) - timedelta(seconds=TTL) <= end + slack

        set_clock(behind.clock, 0)
        behind.relay.accept()
        handed_over = await shared(ahead, image.image_id)

        assert abs(expiry(handed_over) - expiry(image)) < slack
        assert expiry(await facts(behind, image.image_id)) == expiry(handed_over)
        assert await read_image(ahead.images, image.image_id) == PICTURE


async def shared(place: Place, image_id: str) -> image_pb2.Image:
    """Wait until an image is there that is on its way."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await facts(place, image_id)
            except grpc.aio.AioRpcError as error:
                assert refusal(error).reason in {"STORE_UNAVAILABLE", "IMAGE_NOT_FOUND"}  # noqa: PT017 - asked again
                await asyncio.sleep(0.05)


async def test_a_living_server_is_not_taken_for_dead_and_a_dead_one_is(tmp_path: Path) -> None:
    """Leases are as long as ever: waited for longer than a dead one is, both are there; one that is killed is missed.

    Either fault would show: a lease written, or looked at, by a clock that is ahead, and by one that is behind.
    """
    async with skewed(tmp_path) as (vendor, ahead, behind):
        reading = []
        for here, there in ((ahead, behind), (behind, ahead)):
            vendor.answer_next(answer := picture_answer(asyncio.Event()))
            request_id = here.server.address
            stream = here.images.StreamGenerate(generate(OPENAI_MODEL, options=WISH, request_id=request_id))
            await first(stream, 1)
            await within(answer.asked)
            resuming = watch(there.images.Resume(resume(request_id=request_id)))
            reading.append(asyncio.ensure_future(refused(resuming)))
        # Nothing tells of a server that is not given up: only time does.
        done, _ = await asyncio.wait(reading, timeout=GONE_SECONDS + 3 * WAIT_SECONDS)
        assert not done
        ahead.server.process.kill()
        start = time.monotonic()

        async with asyncio.timeout(PATIENCE):
            lost = await reading[0]

        assert (lost.reason, lost.billed) == ("INTERNAL_ERROR", "unknown")
        assert "gone" in lost.message
        assert time.monotonic() - start < 20
        reading[1].cancel()

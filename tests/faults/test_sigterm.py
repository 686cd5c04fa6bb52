"""SIGTERM under two hundred streams: who is told what, what is kept, and when the process ends."""

import asyncio
import base64
import json
import signal
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imagegen.v1 import error_reason_pb2, image_service_pb2, image_service_pb2_grpc

from tests.support.calls import Seen, generate, refusal, watch
from tests.support.faults_setup import KEY, OPENAI_MODEL, first, read_image, remote_environment, resume, within
from tests.support.openai_api import FakeOpenAI, fake_openai
from tests.support.openai_wire import event
from tests.support.pictures import noisy_png
from tests.support.process import ServerProcess, server_process
from tests.support.vendor import Answer, event_answer

DRAIN = 5.0
MARGIN = 15.0
"""Beyond the drain: five seconds that a provider may take to let go, one for open calls, and a slow machine."""

FINISHING, HALVES, NEVER = 80, 60, 60
"""Streams that end within the drain; that have one picture of two; that have none."""

PICTURE = noisy_png(300, 300)
SIZE = {"width": 1024, "height": 1024}


def answer_of(*pieces: bytes | asyncio.Event) -> Answer:
    """Say a body in pieces."""
    return Answer(200, {"content-type": "application/json"}, [b"", *pieces])


def body() -> bytes:
    """Answer with one picture."""
    return json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(PICTURE).decode()}]}).encode()


def streamed() -> bytes:
    """Answer a stream with one picture."""
    return event("image_generation.completed", {"b64_json": base64.b64encode(PICTURE).decode()})


@dataclass
class Crowd:
    """All who call the server when the signal comes."""

    images: "image_service_pb2_grpc.ImageServiceAsyncStub"
    vendor: FakeOpenAI
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets the vendor finish what it shall finish within the drain."""
    stalled: list[Answer] = field(default_factory=list)

    def stall(self) -> Answer:
        """Answer that never ends."""
        self.stalled.append(answer := Answer(before=asyncio.Event()))
        return answer

    def wish(self, **fields: Any) -> image_service_pb2.GenerateRequest:
        """Ask for pictures."""
        options = {"size": SIZE, "preview_count": 0} | fields.pop("options", {})
        return generate(OPENAI_MODEL, options=options, **fields)

    async def asked(self, wish: image_service_pb2.GenerateRequest, *answers: Answer) -> "asyncio.Task[Seen]":
        """Make a wish, with an answer for each call upstream, and wait until the vendor has them."""
        self.vendor.answer_next(*answers)
        watching = asyncio.create_task(watch(self.images.StreamGenerate(wish)))
        await asyncio.gather(*(within(answer.asked) for answer in answers))
        return watching

    async def left(self, request_id: str, *pieces: bytes | asyncio.Event) -> None:
        """Make a wish and leave it."""
        self.vendor.answer_next(answer := answer_of(*pieces))
        stream = self.images.StreamGenerate(self.wish(request_id=request_id))
        await first(stream, 1)
        await within(answer.asked)
        stream.cancel()


async def outcome(watching: "Coroutine[Any, Any, Seen] | asyncio.Task[Seen]") -> Seen | str:
    """Take what a stream brought, or the reason why it brought nothing."""
    try:
        return await watching
    except grpc.aio.AioRpcError as error:
        return refusal(error).reason


Group = list["asyncio.Task[Seen]"]


async def gathered(
    crowd: Crowd,
) -> tuple[Group, Group, Group]:
    """Bring everybody to where the signal finds them."""
    two = crowd.wish(options={"count": 2, "preview_count": 1})
    finishing = [await crowd.asked(crowd.wish(), answer_of(crowd.release, body())) for _ in range(FINISHING)]
    halves = [await crowd.asked(two, event_answer(streamed()), crowd.stall()) for _ in range(HALVES)]
    never = [await crowd.asked(crowd.wish(), crowd.stall()) for _ in range(NEVER)]
    await crowd.left("left-finished", body())
    await crowd.left("left-running", crowd.release, body())
    return finishing, halves, never


async def test_everybody_hears_the_end_and_nothing_finished_is_lost(tmp_path: Path) -> None:
    """Results, or CANCELLED with what was finished; the new hear SHUTTING_DOWN; what was left is read; exit in time."""
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(fake_openai(KEY))
        settings = remote_environment(vendor.base_url, CONCURRENCY="1000") | {
            "IMAGEGEN__SERVER__DRAIN": f"{DRAIN:g}s",
            "IMAGEGEN__SERVER__MAX_BYTES_IN_FLIGHT": "4GiB",
            "IMAGEGEN__STORE__MAX_BYTES": "4GiB",
        }
        server = await stack.enter_async_context(server_process(tmp_path, **settings))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
        crowd = Crowd(image_service_pb2_grpc.ImageServiceStub(channel), vendor)
        finishing, halves, never = await gathered(crowd)
        calls = len(vendor.requests)

        start = await signalled(server, channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await crowd.images.Generate(crowd.wish())
        told = refusal(caught.value)
        assert (told.code, told.reason, told.billed) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "no")

        crowd.release.set()
        ready = [
            await watch(crowd.images.Resume(resume(request_id=name))) for name in ("left-finished", "left-running")
        ]
        image_id = ready[0].result.images[0].image.image_id
        assert await read_image(crowd.images, image_id) == PICTURE
        results = [await outcome(watching) for watching in finishing]
        partial = [await outcome(watching) for watching in halves]
        nothing = [await outcome(watching) for watching in never]
        assert await asyncio.wait_for(server.process.wait(), DRAIN + MARGIN) == 0
        took = time.monotonic() - start
        await asyncio.gather(*(within(answer.client_gone) for answer in crowd.stalled))

    assert DRAIN * 0.9 < took < DRAIN + MARGIN
    assert [seen.images for seen in ready] == [{0: PICTURE}] * 2
    assert [seen.images for seen in results if isinstance(seen, Seen)] == [{0: PICTURE}] * FINISHING
    assert [list(seen.images.values()) for seen in partial if isinstance(seen, Seen)] == [[PICTURE]] * HALVES
    reasons = [failure.reason for seen in partial if isinstance(seen, Seen) for failure in seen.result.failures]
    assert reasons == [error_reason_pb2.ERROR_REASON_CANCELLED] * HALVES
    assert nothing == ["CANCELLED"] * NEVER
    assert len(vendor.requests) == calls == FINISHING + 2 * HALVES + NEVER + 2
    assert [json.loads(line)["event"] for line in server.log.read_text().splitlines()][-1] == "stopped"


async def signalled(server: ServerProcess, channel: grpc.aio.Channel) -> float:
    """Send SIGTERM, and wait until health says so; tells when it was sent."""
    health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    return start

"""A thousand streams that are cancelled leave nothing behind: no task, no socket, no memory."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from imagegen.v1 import image_service_pb2_grpc

from tests.support.calls import generate
from tests.support.faults_setup import KEY, OPENAI_MODEL, PATIENCE, remote, remote_environment, within
from tests.support.openai_api import FakeOpenAI, fake_openai
from tests.support.process import server_process
from tests.support.server import nothing_left, running_server
from tests.support.vendor import Answer

STREAMS = 1000
AT_ONCE = 50
MOST_BYTES = 5_000_000
ROUNDS = 3
"""Memory comes in large pieces: one round alone would show them, not what a stream takes."""

WISH = generate(OPENAI_MODEL, options={"size": {"width": 1024, "height": 1024}})

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to count sockets in")


async def cancel_many(images: "image_service_pb2_grpc.ImageServiceAsyncStub", vendor: FakeOpenAI) -> None:
    """Cancel a thousand streams while the vendor is at work, and see that it saw every one of them close."""
    for _ in range(STREAMS // AT_ONCE):
        answers = [Answer(before=asyncio.Event()) for _ in range(AT_ONCE)]
        vendor.answer_next(*answers)
        streams = [images.StreamGenerate(WISH) for _ in range(AT_ONCE)]
        await asyncio.gather(*(within(answer.asked) for answer in answers))
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*(within(answer.client_gone) for answer in answers))
    assert len(vendor.requests) == STREAMS
    vendor.requests.clear()


def sockets(process: int | str) -> int:
    """Count the open sockets of a process."""
    count = 0
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:  # closed meanwhile
            continue
    return count


def resident_bytes(process: int) -> int:
    """Tell how much memory a process has."""
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


async def come_down(count: Callable[[], int], to: int) -> None:
    """Wait until a count is as low as it was."""
    async with asyncio.timeout(PATIENCE):
        while count() > to:  # noqa: ASYNC110 - a count, no event
            await asyncio.sleep(0.01)


@pytest.mark.timeout(180)
async def test_they_leave_no_memory_and_no_socket(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A server that has seen a thousand of them is less than 5 MB larger for each thousand more."""
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(fake_openai(KEY))
        server = await stack.enter_async_context(server_process(tmp_path, **remote_environment(vendor.base_url)))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        process = server.process.pid
        await channel.channel_ready()
        idle = sockets(process)
        await cancel_many(images, vendor)
        await come_down(lambda: sockets(process), idle)
        before = resident_bytes(process)
        for _ in range(ROUNDS):
            await cancel_many(images, vendor)
        await come_down(lambda: sockets(process), idle)
        grown = (resident_bytes(process) - before) / ROUNDS

    record_property(
        "measured",
        f"{STREAMS} cancelled streams: {grown / 1e6:+.2f} MB resident, mean of {ROUNDS} rounds (promised < 5 MB)",
    )
    assert grown < MOST_BYTES


@pytest.mark.timeout(180)
async def test_they_leave_no_task() -> None:
    """What was running before is all that runs afterwards, and nothing is counted in hand."""
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(fake_openai(KEY))
        server = await stack.enter_async_context(running_server(remote(vendor.base_url)))
        await server.channel.channel_ready()
        await asyncio.sleep(0)
        before, open_sockets = len(asyncio.all_tasks()), sockets("self")
        await cancel_many(server.images, vendor)
        await nothing_left(server)
        await come_down(lambda: len(asyncio.all_tasks()), before)
        await come_down(lambda: sockets("self"), open_sockets)
        assert server.app.engine.detached == 0
        assert server.memory.reserved_bytes == 0

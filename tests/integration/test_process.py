"""The server as a process: the line that scripts read, SIGTERM, and what is kept meanwhile."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc

from tests.support.calls import Seen, generate, refusal, watch
from tests.support.process import BIN, ServerProcess, server_process

SMALL = {"size": {"width": 64, "height": 64}}


def paced(seconds: float) -> image_service_pb2.GenerateRequest:
    """Ask for a picture that takes its time."""
    return generate("sandbox/scene", options=SMALL, params={"sandbox": {"duration": seconds}})


@asynccontextmanager
async def connect(server: ServerProcess) -> "AsyncIterator[image_service_pb2_grpc.ImageServiceAsyncStub]":
    """Call a server by plain stubs."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield image_service_pb2_grpc.ImageServiceStub(channel)


async def until_refused(
    images: "image_service_pb2_grpc.ImageServiceAsyncStub", wish: image_service_pb2.GenerateRequest
) -> None:
    """Ask again and again; the signal takes a moment to arrive."""
    while True:
        await images.Generate(wish)


async def test_it_serves_when_it_has_said_so_and_ends_well(tmp_path: Path) -> None:
    """The line comes when calls are served; SIGTERM ends an idle server with status 0."""
    async with server_process(tmp_path) as server, grpc.aio.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        server.process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(server.process.wait(), 30) == 0
        events = [json.loads(line)["event"] for line in server.log.read_text().splitlines()]
        assert events == ["serving", "stopping", "stopped"]


async def test_sigterm_finishes_what_runs_and_takes_nothing_new(tmp_path: Path) -> None:
    """A running stream comes to its result, new work hears SHUTTING_DOWN, health NOT_SERVING, then the server ends."""
    async with server_process(tmp_path) as server, grpc.aio.insecure_channel(server.address) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        stream = images.StreamGenerate(paced(3))
        watching = asyncio.create_task(watch(stream))
        await stream.initial_metadata()
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        server.process.send_signal(signal.SIGTERM)

        assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await images.Generate(generate("sandbox/scene"))
        assert refusal(caught.value).reason == "SHUTTING_DOWN"
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await watching).kinds[-1] == "result"
        assert await asyncio.wait_for(server.process.wait(), 30) == 0


async def test_an_unread_image_can_be_read_while_the_server_drains(tmp_path: Path) -> None:
    """What was delivered by reference is handed out after SIGTERM too; once it was read, the server ends."""
    async with server_process(tmp_path) as server, grpc.aio.insecure_channel(server.address) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        wish = generate("sandbox/scene", options=SMALL, delivery={"mode": "DELIVERY_MODE_REFERENCE"})
        image = (await images.Generate(wish)).images[0].image
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.aio.AioRpcError):
            await until_refused(images, wish)

        parts = [p async for p in images.ReadImage(image_service_pb2.ReadImageRequest(image_id=image.image_id))]
        assert sum(len(part.data) for part in parts) == image.size_bytes
        assert await asyncio.wait_for(server.process.wait(), 20) == 0


async def test_the_drain_has_an_end(tmp_path: Path) -> None:
    """What runs longer than `drain` is cancelled, its reader hears so, and the server ends."""
    seen = Seen()
    async with server_process(tmp_path, IMAGEGEN__SERVER__DRAIN="200ms") as server, connect(server) as images:
        stream = images.StreamGenerate(paced(600))
        watching = asyncio.create_task(watch(stream, seen))
        await stream.initial_metadata()
        server.process.send_signal(signal.SIGTERM)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watching
        assert refusal(caught.value).reason == "CANCELLED"
        assert refusal(caught.value).failure is not None
        assert await asyncio.wait_for(server.process.wait(), 30) == 0


async def test_a_file_and_the_environment_configure_it(tmp_path: Path) -> None:
    """A TOML file sets up aliases, the environment wins over it, and the server serves by both."""
    config = tmp_path / "imagegen.toml"
    config.write_text('[server]\nlog_level = "error"\n[aliases]\ndraft = "sandbox/scene"\n')
    arguments = ("--config", str(config))
    async with (
        server_process(tmp_path, *arguments, IMAGEGEN__SERVER__LOG_LEVEL="info") as server,
        connect(server) as images,
    ):
        seen = await watch(images.StreamGenerate(generate("draft", options=SMALL)))

        assert seen.result.model == "sandbox/scene"
        assert "serving" in server.log.read_text()


async def test_a_wrong_setting_is_named_and_ends_it_with_2() -> None:
    """A mistake in the configuration is one line that names the key."""
    process = await asyncio.create_subprocess_exec(
        str(BIN / "imagegen-server"),
        "serve",
        stderr=asyncio.subprocess.PIPE,
        env={"IMAGEGEN__SERVER__DRAIN": "soon"},
    )
    _, stderr = await process.communicate()

    assert process.returncode == 2
    assert stderr.decode().startswith("imagegen-server: server.drain: ")

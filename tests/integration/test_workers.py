"""serve --workers: one address, several processes."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.faults_setup import own_channel
from tests.support.process import COMMAND
from tests.support.workers import NOBODY, waiting_streams

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes are watched by os.pidfd_open")


async def test_two_serve_on_one_address_and_drain_together(tmp_path: Path) -> None:
    """One line on stdout, both answer, lines of the log bear their numbers; SIGTERM ends streams of both well."""
    async with waiting_streams(tmp_path) as waiting:
        server = waiting.server
        async with own_channel(server.address) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        server.process.send_signal(signal.SIGTERM)
        await server.until(lambda: len(server.logged("stopping")) == 2)
        waiting.release.set()
        seen = await asyncio.gather(*waiting.reading)
        stdout, _ = await asyncio.wait_for(server.process.communicate(), 45)

    assert [one.kinds[-1] for one in seen] == ["result", "result"]
    assert (server.process.returncode, stdout) == (0, b"")
    for event in ("serving", "stopping", "stopped"):
        assert sorted(line["worker"] for line in server.logged(event)) == [1, 2]
    assert {line["worker"] for line in server.logged("generation")} == {1, 2}
    assert len(set(server.pids.values()) | {server.process.pid}) == 3


async def test_a_wrong_setting_ends_it_once_with_2() -> None:
    """What only a worker can find out is said by one of them, and nothing serves."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "serve", "--workers", "3", "--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"IMAGEGEN__ALIASES__DRAFT": "nowhere/scene", "IMAGEGEN__STORE__URL": NOBODY},
    )
    stdout, stderr = await process.communicate()

    assert (process.returncode, stdout) == (2, b"")
    assert stderr.decode().count("imagegen-server: aliases.draft: provider 'nowhere' is not configured") == 1

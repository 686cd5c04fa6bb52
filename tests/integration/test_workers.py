"""serve --workers: one address, several processes."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.calls import generate
from tests.support.faults_setup import own_channel
from tests.support.process import COMMAND
from tests.support.workers import one_stream_each, waiting_streams, workers

NOBODY = "redis://127.0.0.1:1/0"
"""A store that is never asked."""

SMALL = {"size": {"width": 64, "height": 64}}

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


async def test_a_restarted_worker_has_the_settings_of_the_start(tmp_path: Path) -> None:
    """The file has become nonsense meanwhile; the worker that is started again knows the alias."""
    config = tmp_path / "imagegen.toml"
    config.write_text('[aliases]\ndraft = "sandbox/scene"\n')
    async with workers(tmp_path, "--config", str(config)) as server:
        config.write_text("[[[")
        before = server.pids
        os.kill(before[1], signal.SIGKILL)
        await server.until(lambda: len(server.logged("serving")) == 3)
        async with one_stream_each(server.address, generate("draft", options=SMALL)) as reading:
            seen = await asyncio.gather(*reading)

        assert [one.kinds[-1] for one in seen] == ["result", "result"]
        assert server.pids[1] != before[1]
        assert server.pids[2] == before[2]


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


async def test_a_second_server_on_the_port_is_refused(tmp_path: Path) -> None:
    """It would take connections of the first one; status 1, and the address is named."""
    async with workers(tmp_path) as server:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "serve", "--workers", "2", "--listen", server.address),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "IMAGEGEN__STORE__URL": NOBODY},
        )
        _, stderr = await process.communicate()

    assert process.returncode == 1
    assert f"imagegen-server: cannot listen on {server.address}: " in stderr.decode()

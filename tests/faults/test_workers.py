"""Workers and their supervisor, killed and told in every way: what runs elsewhere goes on, and nothing is left over."""

import asyncio
import os
import signal
from pathlib import Path

import grpc
import pytest
from imagegen_server.generation.ids import maker_of

from tests.support.calls import Seen, generate, watch
from tests.support.faults_setup import OPENAI_MODEL, connected, resume
from tests.support.process import COMMAND
from tests.support.shared import refused
from tests.support.workers import NOBODY, Waiting, gone, one_stream_each, waiting_streams, workers

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes are watched by os.pidfd_open")


async def finished(waiting: Waiting) -> list[Seen]:
    """Let the vendor answer, and read both streams to their ends."""
    waiting.release.set()
    return await asyncio.gather(*waiting.reading)


async def test_a_killed_worker_takes_only_its_own_streams_along(tmp_path: Path) -> None:
    """The other's stream comes to its result, and a new worker serves."""
    async with waiting_streams(tmp_path) as waiting:
        server, before = waiting.server, waiting.server.pids
        os.kill(before[2], signal.SIGKILL)
        (broken,), (other,) = await asyncio.wait(waiting.reading, return_when=asyncio.FIRST_COMPLETED)
        await server.until(lambda: len(server.logged("serving")) == 3)
        waiting.release.set()

        assert isinstance(broken.exception(), grpc.aio.AioRpcError)
        assert (await other).kinds[-1] == "result"
    assert [(line["worker"], line["status"]) for line in server.logged("worker ended")] == [(2, -signal.SIGKILL)]
    assert server.pids[1] == before[1]


async def test_what_a_killed_worker_was_at_is_told_by_the_other(tmp_path: Path) -> None:
    """Whoever asks again or resumes it hears that nobody knows what it cost; it is not bought again."""
    async with waiting_streams(tmp_path) as waiting, connected(waiting.server.address) as images:
        mine = generate(OPENAI_MODEL, request_id="mine", options={"preview_count": 0})
        stream = images.StreamGenerate(mine)
        maker = maker_of(str(dict(await stream.initial_metadata())["imagegen-generation-id"]))
        [worker] = [line["worker"] for line in waiting.server.logged("serving") if line["instance"] == maker]
        ended = gone(waiting.server.pids[worker])
        os.kill(waiting.server.pids[worker], signal.SIGKILL)
        with pytest.raises(grpc.aio.AioRpcError):
            await watch(stream)
        await asyncio.wait_for(ended, 45)  # until then it may be dealt connections
        async with connected(waiting.server.address) as others:
            told = [await refused(watch(others.Resume(resume(request_id="mine"))))]
            told += [await refused(others.Generate(mine))]
        waiting.release.set()
        await asyncio.gather(*waiting.reading, return_exceptions=True)

    assert [(one.reason, one.billed) for one in told] == [("INTERNAL_ERROR", "unknown")] * 2
    assert "gone" in told[0].message


async def test_workers_finish_and_end_after_their_supervisor(tmp_path: Path) -> None:
    """Nobody would restart them: they take nothing new, finish what runs, and are gone."""
    async with waiting_streams(tmp_path) as waiting:
        server = waiting.server
        ends = [gone(pid) for pid in server.pids.values()]
        server.process.kill()
        await server.until(lambda: len(server.logged("stopping")) == 2)
        seen = await finished(waiting)
        await asyncio.wait_for(asyncio.gather(*ends), 45)

    assert [one.kinds[-1] for one in seen] == ["result", "result"]
    assert len(server.logged("stopped")) == 2


@pytest.mark.parametrize("supervisor_first", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_all_of_them_is_one_order(
    number: signal.Signals, supervisor_first: bool, tmp_path: Path
) -> None:
    """A terminal and systemd signal every process of the group: nobody takes that for the second time."""
    async with waiting_streams(tmp_path) as waiting:
        server = waiting.server
        if supervisor_first:
            server.process.send_signal(number)
            await server.until(lambda: len(server.logged("stopping")) == 2)
        for pid in server.pids.values():
            os.kill(pid, number)
        if not supervisor_first:
            server.process.send_signal(number)
            await server.until(lambda: len(server.logged("stopping")) == 2)
        seen = await finished(waiting)

        assert [one.kinds[-1] for one in seen] == ["result", "result"]
        assert await asyncio.wait_for(server.process.wait(), 45) == 0


async def test_told_twice_all_end_at_once(tmp_path: Path) -> None:
    """Status 130; streams break, and no worker is left."""
    async with waiting_streams(tmp_path) as waiting:
        server = waiting.server
        ends = [gone(pid) for pid in server.pids.values()]
        server.process.send_signal(signal.SIGTERM)
        await server.until(lambda: len(server.logged("stopping")) == 2)
        server.process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(server.process.wait(), 45) == 130
        await asyncio.wait_for(asyncio.gather(*ends), 45)
        outcomes = await asyncio.gather(*waiting.reading, return_exceptions=True)
        assert all(isinstance(outcome, grpc.aio.AioRpcError) for outcome in outcomes)


async def test_one_worker_that_is_told_drains_and_is_succeeded(tmp_path: Path) -> None:
    """SIGTERM to a single worker renews it: its stream comes to its result, and another takes its place."""
    async with waiting_streams(tmp_path) as waiting:
        server = waiting.server
        os.kill(server.pids[1], signal.SIGTERM)
        await server.until(lambda: len(server.logged("stopping")) == 1)
        seen = await finished(waiting)
        await server.until(lambda: len(server.logged("serving")) == 3)

    assert [one.kinds[-1] for one in seen] == ["result", "result"]
    assert [(line["worker"], line["status"]) for line in server.logged("worker ended")] == [(1, 0)]


async def test_a_restarted_worker_has_the_settings_of_the_start(tmp_path: Path) -> None:
    """The file has become nonsense meanwhile; the worker that is started again knows the alias."""
    config = tmp_path / "imagegen.toml"
    config.write_text('[aliases]\ndraft = "sandbox/scene"\n')
    async with workers(tmp_path, "--config", str(config)) as server:
        config.write_text("[[[")
        before = server.pids
        os.kill(before[1], signal.SIGKILL)
        await server.until(lambda: len(server.logged("serving")) == 3)
        async with one_stream_each(
            server.address, generate("draft", options={"size": {"width": 64, "height": 64}})
        ) as reading:
            seen = await asyncio.gather(*reading)

        assert [one.kinds[-1] for one in seen] == ["result", "result"]
        assert server.pids[1] != before[1]
        assert server.pids[2] == before[2]


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

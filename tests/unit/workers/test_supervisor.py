"""The rules of the supervisor, with workers that are a few lines each."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
import structlog
from imagegen_server.workers.link import Orders
from imagegen_server.workers.pace import FIRST_SECONDS
from imagegen_server.workers.process import WorkerProcess
from imagegen_server.workers.supervisor import SILENCE_SECONDS, Supervisor

PREFACE = """
import json, os, pathlib, socket, sys, time
link = socket.socket(fileno=int(sys.argv[1]))
orders = json.loads(link.makefile().readline())
number, folder = orders["worker"], pathlib.Path(orders["config_path"])
lives = len(list(folder.glob(f"{number}-*")))
(folder / f"{number}-{lives}").write_text(str(os.getpid()))
serve = lambda: link.sendall(b"serving\\n")
told = lambda: link.recv(1)
"""
"""What every worker does first. `lives` counts those of the same number before it."""

OBEDIENT = "serve(); told()"


@dataclass
class Watched:
    """A supervisor that runs, and what became of it."""

    supervisor: Supervisor
    folder: Path
    announced: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def started(self) -> list[str]:
        """Every worker that was started, as "number-life"."""
        return sorted(path.name for path in self.folder.iterdir())

    def signal(self) -> None:
        """Send the supervisor a signal, without the rest of this process."""
        self.supervisor._signalled()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what other processes do."""
        async with asyncio.timeout(30):
            while not holds():  # noqa: ASYNC110 - files, no events
                await asyncio.sleep(0.01)


def watched(
    folder: Path,
    script: str,
    *,
    workers: int = 2,
    command: Sequence[str] | None = None,
    silence: float = SILENCE_SECONDS,
) -> Watched:
    """Make a supervisor whose workers run a script."""
    orders = Orders(worker=1, workers=workers, listen="127.0.0.1:1", config_path=str(folder))
    command = command or (sys.executable, "-S", "-c", PREFACE + script)
    announced = asyncio.Event()
    supervisor = Supervisor(orders, announced.set, command=command, random=Random(1), silence=silence)
    return Watched(supervisor, folder, announced)


@asynccontextmanager
async def running(
    folder: Path, script: str, silence: float = SILENCE_SECONDS
) -> AsyncIterator[tuple[Watched, "asyncio.Task[int]"]]:
    """Run two workers until both serve, and have none left at the end."""
    seen = watched(folder, script, silence=silence)
    run = asyncio.create_task(seen.supervisor.run())
    try:
        await asyncio.wait_for(seen.announced.wait(), 30)
        yield seen, run
        await asyncio.wait_for(run, 30)
    finally:
        for worker in seen.supervisor._workers.values():
            worker.kill()
        await run


async def test_it_ends_well_when_all_of_them_do(tmp_path: Path) -> None:
    """Told once, they are told by the end of the link; status 0."""
    async with running(tmp_path, OBEDIENT) as (seen, run):
        assert seen.started == ["1-0", "2-0"]
        seen.signal()

        assert await run == 0


@pytest.mark.parametrize(("ending", "status"), [("sys.exit(2)", 2), ("sys.exit(1)", 1), ("os.kill(os.getpid(), 9)", 1)])
async def test_what_cannot_start_ends_it_with_the_same_status(ending: str, status: int, tmp_path: Path) -> None:
    """Only one is tried, so that what is wrong is said once; nothing is announced."""
    seen = watched(tmp_path, ending, workers=4)

    assert await seen.supervisor.run() == status
    assert seen.started == ["1-0"]
    assert not seen.announced.is_set()


async def test_a_later_one_that_cannot_start_ends_it_too(tmp_path: Path) -> None:
    """Those that serve already drain."""
    seen = watched(
        tmp_path, "number == 3 and sys.exit(1); serve(); told(); (folder / f'drained-{number}').touch()", workers=3
    )

    assert await seen.supervisor.run() == 1
    assert not seen.announced.is_set()
    assert {"drained-1", "drained-2"} <= set(seen.started)


async def test_without_a_program_it_fails(tmp_path: Path) -> None:
    """The system's own error."""
    seen = watched(tmp_path, "", command=[str(tmp_path / "missing")])

    with pytest.raises(FileNotFoundError):
        await seen.supervisor.run()


async def test_one_that_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    """One that gives signs of life is left alone; none is killed once all are to end."""
    script = """
serve()
if (number, lives) == (1, 0):
    time.sleep(60)
import threading
beat = threading.Event()
def live():
    while not beat.wait(0.02):
        link.sendall(b"alive\\n")
living = threading.Thread(target=live)
living.start()
told()
beat.set()
living.join()
time.sleep(1)
"""
    with structlog.testing.capture_logs() as lines:
        async with running(tmp_path, script, silence=0.5) as (seen, run):
            await seen.until(lambda: "1-1" in seen.started)
            seen.signal()
            assert await run == 0

    assert [line["worker"] for line in lines if line["event"] == "worker hangs"] == [1]
    assert [(line["worker"], line["status"]) for line in lines if line["event"] == "worker ended"] == [(1, -9)]
    assert seen.started == ["1-0", "1-1", "2-0"]


async def test_one_that_ends_is_started_again(tmp_path: Path) -> None:
    """By a signal or by itself, with the wait in the log; the other one is left alone."""
    script = "serve(); number == 1 and (lives == 0 and os.kill(os.getpid(), 9) or lives == 1 and sys.exit(3)); told()"
    with structlog.testing.capture_logs() as lines:
        async with running(tmp_path, script) as (seen, run):
            await seen.until(lambda: "1-2" in seen.started)
            seen.signal()
            assert await run == 0

    assert seen.started == ["1-0", "1-1", "1-2", "2-0"]
    ended = [line for line in lines if line["event"] == "worker ended"]
    assert [(line["worker"], line["status"]) for line in ended] == [(1, -9), (1, 3)]
    assert 0 < ended[0]["restart_seconds"] <= FIRST_SECONDS < ended[1]["restart_seconds"] * 2 <= 4 * FIRST_SECONDS


async def test_one_that_cannot_be_started_again_is_tried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no room for a process just then: the others serve on."""
    start = WorkerProcess.start
    refused: list[int] = []

    async def full(command: Sequence[str], orders: Orders) -> WorkerProcess:
        if (tmp_path / "1-0").exists() and orders.worker == 1 and not refused:
            refused.append(orders.worker)
            raise BlockingIOError("Resource temporarily unavailable")
        return await start(command, orders)

    monkeypatch.setattr(WorkerProcess, "start", full)
    with structlog.testing.capture_logs() as lines:
        async with running(tmp_path, "serve(); number == 1 and lives == 0 and sys.exit(1); told()") as (seen, run):
            await seen.until(lambda: "1-1" in seen.started)
            seen.signal()
            assert await run == 0

    assert [line["event"] for line in lines].count("worker not started") == 1
    assert [line["event"] for line in lines].count("worker ended") == 1


async def test_told_while_it_waits_it_starts_no_other(tmp_path: Path) -> None:
    """The wait is cut short."""
    with structlog.testing.capture_logs() as lines:
        async with running(tmp_path, "serve(); number == 1 and sys.exit(1); told()") as (seen, run):
            await seen.until(lambda: any(line["event"] == "worker ended" for line in lines))
            seen.signal()
            assert await run == 0


async def test_told_while_they_start_it_announces_nothing(tmp_path: Path) -> None:
    """The first one has not served yet, and how it ends is no matter."""
    seen = watched(tmp_path, "told(); sys.exit(3)")
    run = asyncio.create_task(seen.supervisor.run())
    await seen.until(lambda: seen.started == ["1-0"])
    seen.signal()

    assert await asyncio.wait_for(run, 30) == 0
    assert seen.started == ["1-0"]
    assert not seen.announced.is_set()


async def test_one_that_fails_while_it_drains_is_told(tmp_path: Path) -> None:
    """Status 1: something may have been lost."""
    async with running(tmp_path, "serve(); told(); sys.exit(number == 2)") as (seen, run):
        seen.signal()

        assert await run == 1


async def test_the_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    """They do not drain to the end; status 130, as one process has it."""
    async with running(tmp_path, "serve(); told(); time.sleep(600)") as (seen, run):
        seen.signal()
        seen.signal()

        assert await run == 130


async def test_a_worker_gets_orders_of_its_own(tmp_path: Path) -> None:
    """Its number; the rest is the same for all."""
    script = "serve(); (folder / f'orders-{number}').write_text(json.dumps(orders)); told()"
    async with running(tmp_path, script) as (seen, run):
        files = [tmp_path / f"orders-{number}" for number in (1, 2)]
        await seen.until(lambda: all(file.exists() and file.read_text() for file in files))
        first, second = (json.loads(file.read_text()) for file in files)
        seen.signal()
        await run

    assert [first.pop("worker"), second.pop("worker")] == [1, 2]
    assert first == second


def test_real_signals_reach_it(tmp_path: Path) -> None:
    """SIGTERM and SIGINT are what it listens to: the first drains, the second ends."""
    program = f"""
import asyncio, os, pathlib, random, signal, sys
from imagegen_server.workers.link import Orders
from imagegen_server.workers.process import WorkerProcess
from imagegen_server.workers.supervisor import SILENCE_SECONDS, Supervisor
def announce():
    os.kill(os.getpid(), signal.{signal.SIGTERM.name})
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.{signal.SIGINT.name})
orders = Orders(worker=1, workers=2, listen="", config_path={str(tmp_path)!r})
command = (sys.executable, "-S", "-c", {PREFACE + "serve(); time.sleep(600)"!r})
sys.exit(asyncio.run(Supervisor(orders, announce, command=command, random=random.Random()).run()))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.DEVNULL).returncode == 130


def test_a_supervisor_does_without_grpc() -> None:
    """Neither grpc nor any provider is imported by the command until it serves by itself."""
    program = (
        "import sys, imagegen_server.cli; found = [name for name in ('grpc', 'google.protobuf', 'aiohttp', 'PIL', "
        "'numpy', 'imagegen') if name in sys.modules]; sys.exit(' '.join(found) or 0)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")

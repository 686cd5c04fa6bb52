"""Starting programs on one core, and what the kernel says of their time and memory. Linux only."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_CPUCLOCK_SCHED = 2
"""Which of a process's clocks: the scheduler's, in nanoseconds, user and kernel together."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server that is measured, and the core of everything else; None = any."""

    server: int | None
    load: int | None

    @property
    def shared(self) -> bool:
        """There is one core only."""
        return self.server == self.load


ANYWHERE = Cores(None, None)


def choose_cores() -> Cores:
    """Take the first two cores that this process may use, or the only one twice."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[min(1, len(usable) - 1)])


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Stay on a core, with the programs that are started meanwhile; None = wherever this process may be."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that serves on `address`, `start_seconds` after it was started."""

    name: str
    process: subprocess.Popen[str]
    address: str
    start_seconds: float
    log: Path

    def log_end(self) -> str:
        """What it wrote last to stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far of the process and its living descendants, all their threads."""
        return cpu_seconds(self.process.pid)

    @property
    def user_and_kernel_seconds(self) -> tuple[float, float]:
        """Processor time so far, told apart, in steps of 10 ms."""
        ticks = os.sysconf("SC_CLK_TCK")
        fields = [_stat(pid) for pid in family(self.process.pid)]
        return sum(int(one[11]) for one in fields) / ticks, sum(int(one[12]) for one in fields) / ticks

    def memory_bytes(self, field: str) -> int:
        """Memory of the process and its descendants: VmRSS = now, VmHWM = the most since `forget_peak`."""
        return sum(_status_bytes(pid, field) for pid in family(self.process.pid))

    def forget_peak(self) -> None:
        """Let VmHWM begin anew (proc(5), clear_refs)."""
        for pid in family(self.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def cpu_seconds(pid: int) -> float:
    """Processor time so far of a process and its living descendants, all their threads."""
    # The clock of another process, made as clock_getcpuclockid(3) makes it.
    clocks = [(~one << 3) | _CPUCLOCK_SCHED for one in family(pid)]
    return sum(time.clock_gettime_ns(clock) for clock in clocks) / 1e9


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    parents = {int(path.name): path for path in Path("/proc").iterdir() if path.name.isdecimal()}
    children: dict[int, list[int]] = {}
    for one in parents:
        try:
            children.setdefault(int(_stat(one)[1]), []).append(one)
        except OSError:
            continue  # ended while we looked
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found


@contextmanager
def program(
    name: str, command: Sequence[str], core: int | None, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """Run a program on a core until the block ends; None = any core.

    It has to print one line, with its address last, when it serves.

    Nothing but `environment`, PATH and HOME is passed on: no proxy, allocator or configuration of the caller's.
    """
    clean = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    with log.open("a", encoding="utf-8") as errors, pinned(core):
        start = time.monotonic()
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**clean, **(environment or {})}
        )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
        line = process.stdout.readline() if ready else ""
        seconds = time.monotonic() - start
        if not line:
            sys.exit(f"{name} did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
        yield Program(name, process, line.split()[-1], seconds, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def script(name: str, *arguments: str) -> list[str]:
    """Make the command of a script beside this one."""
    return [sys.executable, str(HERE / name), *arguments]


def _stat(pid: int) -> list[str]:
    """Read the fields of /proc/PID/stat behind the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()


def _status_bytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/{pid}/status has no {field}")

"""Where a server's time goes: its Python stack, looked at while it runs, at the ticks of the kernel.

Run as a program, `sampling.py FILE ARGUMENTS...` is `imagegen-server ARGUMENTS...`; a first SIGUSR2 starts the looking,
a second one ends it and writes FILE. Native code counts for the line that called it. Native threads, gRPC's above all,
count for whatever the main thread does meanwhile: mostly for its wait in `select`.
"""

import json
import os
import signal
import sys
import sysconfig
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from arms import SERVICE, Bench
from load import run_load, verify
from pictures import Size
from processes import script

CONCURRENCY = 8
_INTERVAL_SECONDS = 0.001
_WAIT_SECONDS = 10.0
_LIBRARY = sysconfig.get_path("stdlib") + os.sep


@dataclass(frozen=True, slots=True)
class Profile:
    """What a number of requests spent.

    `lines` and `owners` are shares of all samples, the largest first: the line itself, and the module of the service
    or the package on whose behalf the standard library worked.
    """

    size: str
    form: str
    requests: int
    samples: int
    kernel_share: float
    owners: list[tuple[str, float]]
    lines: list[tuple[str, float]]


def profile(bench: Bench, size: Size, form: str, requests: int) -> Profile:
    """Run a server of its own under load, after as many requests that are not looked at."""
    out = bench.directory / "samples.json"
    out.unlink(missing_ok=True)
    with bench.arm(SERVICE, wrapper=tuple(script("sampling.py", str(out)))) as server:
        verify(server.address, size, form)
        run_load(server, size, form, requests=requests, concurrency=CONCURRENCY, cores=bench.cores)
        server.process.send_signal(signal.SIGUSR2)
        user, kernel = server.user_and_kernel_seconds
        run_load(server, size, form, requests=requests, concurrency=CONCURRENCY, cores=bench.cores)
        user_end, kernel_end = server.user_and_kernel_seconds
        server.process.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + _WAIT_SECONDS
        while not out.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    counted: dict[str, dict[str, int]] = json.loads(out.read_text(encoding="utf-8"))
    samples = sum(counted["lines"].values())
    spent = user_end - user + kernel_end - kernel
    return Profile(
        size.prompt,
        form,
        requests,
        samples,
        (kernel_end - kernel) / max(spent, 0.01),
        _shares(counted["owners"], samples),
        _shares(counted["lines"], samples),
    )


def _shares(counts: dict[str, int], samples: int) -> list[tuple[str, float]]:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [(name, count / max(samples, 1)) for name, count in ordered]


class _Sampler:
    def __init__(self, out: Path) -> None:
        self._out = out
        self._lines: Counter[str] = Counter()
        self._owners: Counter[str] = Counter()
        self._running = False

    def toggle(self, *_: Any) -> None:
        self._running = not self._running
        interval = _INTERVAL_SECONDS if self._running else 0
        signal.setitimer(signal.ITIMER_PROF, interval, interval)
        if not self._running:
            partial = self._out.with_suffix(".partial")
            partial.write_text(json.dumps({"lines": self._lines, "owners": self._owners}), encoding="utf-8")
            partial.rename(self._out)

    def look(self, _number: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self._lines[f"{_short(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}"] += 1
        self._owners[_owner(frame)] += 1


def _owner(frame: FrameType | None) -> str:
    """Find the nearest caller beyond the standard library, a module of the service or a package."""
    while frame is not None and frame.f_code.co_name != "_run_once":
        path = frame.f_code.co_filename
        if "site-packages" in path or not path.startswith((_LIBRARY, "<")):
            short = _short(path)
            return short if short.startswith("imagegen_server/") else short.partition(os.sep)[0]
        frame = frame.f_back
    return "the event loop and its waits"


def _short(path: str) -> str:
    for root in ("site-packages/", "/server/", "/clients/python/src/"):
        if root in path:
            return path.rpartition(root)[2]
    return path.removeprefix(_LIBRARY)


if __name__ == "__main__":
    from imagegen_server.cli import main

    sampler = _Sampler(Path(sys.argv[1]))
    signal.signal(signal.SIGPROF, sampler.look)
    signal.signal(signal.SIGUSR2, sampler.toggle)
    sys.exit(main(sys.argv[2:]))

"""One worker and two under as much load as they take, and what a shared store costs the one that generates."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from load import STREAM, asked_for, run_load, verify
from pictures import LARGE, SMALL, Size
from processes import ANYWHERE, Program
from sharing import MEMORY, Account, Shared, serving, shared_redis

CONNECTIONS = 64
PREVIEWS = 2
_TAIL_SECONDS = 0.1
"""After a load, for what is still written to Redis when the last answer is out."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to serve."""

    title: str
    workers: int = 1
    redis: bool = True


IN_MEMORY = Arm("1 worker, memory", redis=False)
ONE = Arm("1 worker, Redis")
TWO = Arm("2 workers, Redis", workers=2)


@dataclass(frozen=True, slots=True)
class Cell:
    """A load: so many requests of one picture, each over a connection of its own."""

    title: str
    size: Size
    requests: int
    at_once: int
    arms: tuple[Arm, ...]
    previews: int = 0


SATURATED = (
    Cell("10 KB", SMALL, 448, CONNECTIONS, (IN_MEMORY, ONE, TWO)),
    Cell("1.5 MB", LARGE, 128, CONNECTIONS, (IN_MEMORY, ONE, TWO)),
)
ONE_BY_ONE = (
    Cell("10 KB", SMALL, 100, 1, (IN_MEMORY, ONE)),
    Cell("1.5 MB", LARGE, 40, 1, (IN_MEMORY, ONE)),
    Cell(f"1.5 MB, {PREVIEWS} previews", LARGE, 16, 1, (IN_MEMORY, ONE), PREVIEWS),
)
_WARM_UP = Cell("warm-up", LARGE, 192, 8, (IN_MEMORY, ONE, TWO))
"""Fills the store, which then lets an image go for each that comes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One arm in one cell of one round.

    Milliseconds are for each image: `median_ms` from request to end, the others of processor time, user and kernel.
    `redis` in milliseconds and bytes for each image. `upstream_busy`: the share of a core that the upstream had.
    `busiest`: the share of images that the worker with the most has made.
    """

    per_second: float
    median_ms: float
    server_ms: float
    load_ms: float
    upstream_ms: float
    redis: Account
    busiest: float

    @property
    def upstream_busy(self) -> float:
        """Share of a core that the upstream had."""
        return self.upstream_ms * self.per_second / 1000


Found = Mapping[tuple[Cell, Arm], list[Sample]]


@dataclass(frozen=True, slots=True)
class _Served:
    server: Program
    redis: Shared | None


def measure_round(
    number: int, upstream: Program, directory: Path, *, quick: bool
) -> Iterator[tuple[Cell, Arm, Sample]]:
    """Measure every cell once on fresh servers, another arm first with each cell and round."""
    with ExitStack() as stack:
        served = {arm: stack.enter_context(_serving(arm, upstream, directory)) for arm in _WARM_UP.arms}
        for arm, one in served.items():
            verify(one.server.address, SMALL, STREAM)
            _measure(_WARM_UP, arm, one, upstream, quick=quick)
        for position, cell in enumerate((*SATURATED, *ONE_BY_ONE)):
            first = (number + position) % len(cell.arms)
            for arm in (*cell.arms[first:], *cell.arms[:first]):
                yield cell, arm, _measure(cell, arm, served[arm], upstream, quick=quick)


@contextmanager
def _serving(arm: Arm, upstream: Program, directory: Path) -> Iterator[_Served]:
    with ExitStack() as stack:
        redis = stack.enter_context(shared_redis()) if arm.redis else None
        store = redis.url if redis is not None else MEMORY
        name = arm.title.replace(" ", "-").replace(",", "")
        yield _Served(stack.enter_context(serving(name, upstream, directory, store, workers=arm.workers)), redis)


def _measure(cell: Cell, arm: Arm, served: _Served, upstream: Program, *, quick: bool) -> Sample:
    server, redis = served.server, served.redis
    requests = max(cell.at_once, cell.requests // 8) if quick else cell.requests
    asked, logged = asked_for(upstream), server.log.stat().st_size
    before, server_cpu, upstream_cpu = _account(redis), server.cpu_seconds, upstream.cpu_seconds
    load = run_load(
        server,
        cell.size,
        STREAM,
        requests=requests,
        concurrency=cell.at_once,
        cores=ANYWHERE,
        previews=cell.previews,
        most_connections=CONNECTIONS,
    )
    time.sleep(_TAIL_SECONDS)
    did = _account(redis).since(before)
    server_cpu, upstream_cpu = server.cpu_seconds - server_cpu, upstream.cpu_seconds - upstream_cpu
    asked = asked_for(upstream) - asked
    assert asked == requests, f"{arm.title} asked the upstream {asked} times for {requests} images"
    return Sample(
        load.per_second,
        load.median_ms,
        server_cpu * 1000 / requests,
        load.cpu_ms,
        upstream_cpu * 1000 / requests,
        Account(did.cpu * 1000 / requests, did.came // requests, did.went // requests),
        _busiest(server, logged, requests),
    )


def _account(redis: Shared | None) -> Account:
    return redis.account() if redis is not None else Account()


def _busiest(server: Program, offset: int, requests: int) -> float:
    """Find the largest share of a worker in the lines that the server has logged since."""
    with server.log.open("rb") as log:
        log.seek(offset)
        lines = [json.loads(line) for line in log if line.startswith(b"{")]
    made = Counter(line.get("worker", 0) for line in lines if line.get("event") == "generation")
    assert made.total() == requests, f"{made.total()} generations in the log of {requests}"
    return max(made.values()) / requests

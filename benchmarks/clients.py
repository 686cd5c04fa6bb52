"""What a client's helper costs beside plain stubs of the same language.

python benchmarks/clients.py [--quick] [--write] [LANGUAGE ...], as `make bench` does

The conformance drivers make the calls and measure themselves. The server replays one generation for all calls of a
cell, so that nothing is drawn meanwhile. Server and driver have a core each.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from conformance.v1 import driver_pb2
from google.protobuf.json_format import ParseDict
from page import put

from tests.conformance.languages import LANGUAGES, Broken, Driver, Language, driving
from tests.support.process import server_process

TARGET: Final = 1.10
"""The most that a helper may take of what plain stubs with a checksum take."""


@dataclass(frozen=True)
class Cell:
    """A load: calls in all, so many at a time, of one picture."""

    name: str
    model: str
    params: dict[str, Any]
    calls: int
    parallel: int


@dataclass(frozen=True)
class Arm:
    """Who makes the calls."""

    name: str
    face: str
    checksum: bool = False


CELLS: Final = (
    Cell("64 MiB, one at a time", "sandbox/bytes", {"size_bytes": 64 << 20}, calls=5, parallel=1),
    Cell("10 KB, 200 at a time", "sandbox/bytes", {"size_bytes": 10_000}, calls=1000, parallel=200),
)
ARMS: Final = (
    Arm("plain", "FACE_PLAIN"),
    Arm("checksum", "FACE_PLAIN", checksum=True),
    Arm("helper", "FACE_HELPER"),
)


@dataclass
class Samples:
    """Seconds of wall clock and of the driver's processor for a call, by arm, round by round."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def add(self, arm: Arm, cell: Cell, measured: driver_pb2.Measured) -> None:
        """Take one measurement."""
        self.wall.setdefault(arm.name, []).append(measured.wall_seconds / cell.calls)
        self.cpu.setdefault(arm.name, []).append(measured.cpu_seconds / cell.calls)

    @staticmethod
    def ratio(times: dict[str, list[float]], over: str, under: str) -> tuple[float, float, float]:
        """Median, least and most of the ratio of two arms, taken round by round."""
        ratios = [one / other for one, other in zip(times[over], times[under], strict=True)]
        return median(ratios), min(ratios), max(ratios)


def _step(address: str, cell: Cell, arm: Arm, calls: int) -> dict[str, Any]:
    request = {
        "model": cell.model,
        "input": {"prompt": "a boat"},
        "options": {"previewCount": 0},
        "params": {"sandbox": cell.params},
        "requestId": f"bench-{cell.name.replace(' ', '-')}-{os.getpid()}-{_RUN}",
    }
    measure = {"request": request, "calls": calls, "parallel": cell.parallel, "checksum": arm.checksum}
    return {"address": address, "face": arm.face, "measure": measure}


_RUN: Final = uuid.uuid4().hex


async def _measure(driver: Driver, address: str, cell: Cell, arm: Arm, calls: int) -> driver_pb2.Measured:
    said = _step(address, cell, arm, calls)
    outcome = ParseDict(await driver.do(ParseDict(said, driver_pb2.Step()), json.dumps(said)), driver_pb2.Outcome())
    if not outcome.HasField("measured") or outcome.measured.bytes != calls * cell.params["size_bytes"]:
        raise Broken(f"{arm.name}: {outcome}")
    return outcome.measured


@asynccontextmanager
async def _placed(language: Language, cores: Sequence[int]) -> AsyncIterator[tuple[Driver, str]]:
    """Start a server on one core and a driver on another."""
    with tempfile.TemporaryDirectory() as folder:
        os.sched_setaffinity(0, {cores[0]})
        async with server_process(Path(folder)) as server:
            os.sched_setaffinity(0, {cores[-1]})
            async with driving(language) as driver:
                yield driver, server.address
    os.sched_setaffinity(0, set(cores))


async def measure(language: Language, rounds: int, cores: Sequence[int], *, quick: bool) -> dict[str, Samples]:
    """Measure a language: every arm once a round, in turn, another one first each time."""
    found = {cell.name: Samples() for cell in CELLS}
    async with _placed(language, cores) as (driver, address):
        for number in range(-1, rounds):  # the first one warms up
            for cell in CELLS:
                calls = min(cell.calls, cell.parallel * 2) if quick else cell.calls
                for arm in (*ARMS[number % len(ARMS) :], *ARMS[: number % len(ARMS)]):
                    measured = await _measure(driver, address, cell, arm, calls)
                    if number >= 0:
                        found[cell.name].add(arm, cell, measured)
    return found


def report(found: dict[str, dict[str, Samples]], rounds: int) -> str:
    """Write the tables."""
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {rounds} rounds; median (range) of the rounds' ratios.",
        "",
        "| | throughput, helper : plain | processor time, checksum | processor time, helper : plain with checksum | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, cells in found.items():
        for cell, samples in cells.items():
            cost = samples.ratio(samples.cpu, "helper", "checksum")
            columns = [
                _text(samples.ratio(samples.wall, "plain", "helper")),
                _text(samples.ratio(samples.cpu, "checksum", "plain")),
                _text(cost),
                "reached" if cost[0] <= TARGET else "**missed**",
            ]
            lines.append(f"| {name}, {cell} | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def _text(ratio: tuple[float, float, float]) -> str:
    return f"{ratio[0]:.2f} ({ratio[1]:.2f}-{ratio[2]:.2f})"


async def run(languages: Sequence[Language], rounds: int, *, quick: bool) -> dict[str, dict[str, Samples]]:
    """Measure the languages whose tools are there; the others are named."""
    found = {}
    cores = sorted(os.sched_getaffinity(0))[:2]
    for language in languages:
        if wrong := await language.missing() or await language.build():
            print(f"{language.name}: skipped ({wrong})")
            continue
        found[language.name] = await measure(language, rounds, cores, quick=quick)
        print(*report({language.name: found[language.name]}, rounds).splitlines()[-len(CELLS) :], sep="\n", flush=True)
    return found


def main() -> int:
    """Read the command line; a missed target is a result, not a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", choices=[*LANGUAGES, []], default=[])
    parser.add_argument("--quick", action="store_true", help="one round with few calls; its numbers mean nothing")
    parser.add_argument("--write", action="store_true", help="keep the tables in README.md")
    asked = parser.parse_args()
    rounds = 1 if asked.quick else int(os.environ.get("ROUNDS", "5"))
    names = asked.languages or list(LANGUAGES)
    found = asyncio.run(run([LANGUAGES[name] for name in names], rounds, quick=asked.quick))
    text = report(found, rounds)
    print(text)
    if asked.write and not asked.quick:
        put("clients", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

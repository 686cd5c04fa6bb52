"""What several workers bring, and what the Redis that they share costs.

PYTHONPATH=. python benchmarks/scaling.py [--quick] [--write], as `make bench` does

Nothing has a core of its own here: servers, Redis, upstream and load generator share what there is, so that two workers
have something to run on. What each of them takes of the processor is told beside every time.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bytes_places
import remote_readers
import saturation
import shared_memory
import sizing
from load import require_h2load
from page import put
from processes import HERE, Program, program, script
from scaling_report import Results, report
from sharing import require_redis, shared_redis

from tests.support.tools import PATH

_OUT = HERE.parent / "out" / "bench"
_MEMORY_ROUNDS = 3
"""Of memory, which varies little."""


def measure(rounds: int, *, quick: bool) -> Results:
    """Measure everything, part after part, and the arms of each in turn."""
    found = Results(rounds, " ".join(f"{one:.2f}" for one in os.getloadavg()))
    begin = time.monotonic()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(program("upstream", script("upstream.py"), None, directory / "upstream.log"))
        with shared_redis() as redis:
            found.redis_version = redis.version()
        for number in _told("under load", rounds):
            for cell, arm, sample in saturation.measure_round(number, upstream, directory, quick=quick):
                found.saturated.setdefault((cell, arm), []).append(sample)
        _measure_readers(found, upstream, directory, 1 if quick else 4)
        if shutil.which("versitygw", path=PATH):
            places = stack.enter_context(bytes_places.both())
            for number in _told("places of bytes", rounds):
                for place, word, cost in places.measure_round(number, 4 if quick else 40):
                    found.places.setdefault((place, word), []).append(cost)
        for _ in _told("memory", min(rounds, _MEMORY_ROUNDS)):
            for kind, kept in shared_memory.measure_round(upstream, directory):
                found.memory.setdefault(kind, []).append(kept)
            found.waiting.append(shared_memory.waiting(upstream, directory))
    found.seconds = time.monotonic() - begin
    return found


def _measure_readers(found: Results, upstream: Program, directory: Path, images: int) -> None:
    with _readers(upstream, directory) as readers:
        for number in _told("remote readers", found.rounds):
            for kind, way, sample in readers.measure_round(number, images):
                found.readers.setdefault((kind, way), []).append(sample)


@contextmanager
def _readers(upstream: Program, directory: Path) -> Iterator[remote_readers.Readers]:
    with ExitStack() as stack:
        yield remote_readers.Readers(stack, upstream, directory)


def _told(what: str, rounds: int) -> Iterator[int]:
    """Count rounds, and tell how long each took."""
    for number in range(rounds):
        begin = time.monotonic()
        yield number
        print(f"{what}, round {number + 1} of {rounds}: {time.monotonic() - begin:.1f} s", flush=True)


def main() -> int:
    """Read the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round with few requests; its numbers mean nothing")
    parser.add_argument("--write", action="store_true", help="keep the tables in README.md and in docs/sizing.md")
    asked = parser.parse_args()
    require_h2load()
    require_redis()
    found = measure(1 if asked.quick else int(os.environ.get("ROUNDS", "5")), quick=asked.quick)
    text, sizes = report(found), sizing.page(found)
    _OUT.mkdir(parents=True, exist_ok=True)
    (_OUT / "scaling.md").write_text(f"{text}\n{sizes}", encoding="utf-8")
    print(f"\n{text}\n{sizes}")
    if asked.write and not asked.quick:
        put("scaling", text)
        put("sizes", sizes, sizing.PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How long a preview takes from a local server to a client.

python benchmarks/local_previews.py [--quick] [--write] [PROVIDER ...], as `make bench` does

The server that draws is the fake of the tests, in this process; so is the client, the Python one, by gRPC. Between them
the service runs as a process of its own, on a core of its own. Each preview is a PNG of noise, and begins to be there
at a moment that is chosen by chance.
"""

import argparse
import asyncio
import io
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from imagegen import AsyncClient, Preview
from page import put
from PIL import Image

from tests.support.comfyui_api import fake_comfyui
from tests.support.comfyui_nodes import CHECKPOINTS
from tests.support.comfyui_queue import Prompt
from tests.support.process import server_process
from tests.support.sdapi_api import STEPS, fake_sdapi

TARGET: Final = 20.0
"""The most milliseconds that a preview may take, beside the wait for the next question where one is asked."""

PREVIEWS: Final = 16
_SIDE = 128
_PATIENCE_SECONDS = 30.0


@dataclass
class Moments:
    """Seconds of one clock, by the bytes of a preview: since when it is there, and when the service came for it.

    `shown` is set at each preview that the client gets.
    """

    there: dict[bytes, float] = field(default_factory=dict)
    fetched: dict[bytes, float] = field(default_factory=dict)
    shown: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Local:
    """A fake that runs: the keys of the provider's table, and what makes it develop one picture."""

    settings: Mapping[str, str]
    develop: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Arm:
    """A provider to measure: its fake, a model of it, and the seconds between two questions; 0 = it tells unasked."""

    run: Callable[[Moments], AbstractAsyncContextManager[Local]]
    model: str
    poll_seconds: float


@dataclass
class Samples:
    """Milliseconds for each preview: in all, and since the service came for it."""

    whole: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)


def noise(count: int, chance: random.Random) -> list[bytes]:
    """Draw pictures that do not compress, each another."""
    found = []
    for _ in range(count):
        file = io.BytesIO()
        Image.frombytes("RGB", (_SIDE, _SIDE), chance.randbytes(_SIDE * _SIDE * 3)).save(file, "PNG", compress_level=0)
        found.append(file.getvalue())
    return found


_POLL_SECONDS = 0.1


@asynccontextmanager
async def sdapi(moments: Moments) -> AsyncIterator[Local]:
    """Run Forge's fake."""
    chance = random.Random(7)
    pictures = noise(STEPS + 1, chance)
    async with fake_sdapi("forge") as fake:

        def paint(done: float) -> bytes:
            picture = pictures[round(done * STEPS)]
            moments.fetched.setdefault(picture, time.monotonic())
            return picture

        async def develop() -> None:
            await fake.until(lambda: fake.current)
            for step in range(1, STEPS + 1):
                await asyncio.sleep(chance.uniform(0, _POLL_SECONDS))
                fake.at_work.step = step
                moments.there[pictures[step]] = time.monotonic()
                seen = len(fake.looks)
                # One that is under way may have come too early.
                await fake.until(lambda seen=seen: len(fake.looks) > seen + 1)  # type: ignore[misc]
            fake.finish()

        fake.paint, fake.held = paint, True
        yield Local({"BASE_URL": fake.base_url, "POLL_SECONDS": str(_POLL_SECONDS)}, develop)


@asynccontextmanager
async def comfyui(moments: Moments) -> AsyncIterator[Local]:
    """Run ComfyUI's fake, which pushes a preview after each step, but the last."""
    chance, steps = random.Random(7), PREVIEWS + 1
    pictures = noise(steps + 1, chance)
    async with fake_comfyui() as fake:

        def paint(_graph: Mapping[str, object], reached: float, _index: int) -> bytes:
            if reached > 1:
                return pictures[0]
            picture = pictures[round(reached * steps)]
            moments.there[picture] = moments.fetched[picture] = time.monotonic()
            return picture

        async def before_step(_prompt: Prompt, _node: str, step: int) -> None:
            if step:
                await asyncio.sleep(chance.uniform(0, _POLL_SECONDS))

        async def develop() -> None:
            await fake.queue.until(lambda: fake.queue.running is not None)
            await fake.queue.idle.wait()

        fake.queue.painter, fake.queue.before_step = paint, before_step
        yield Local({"BASE_URL": fake.base_url, "DEFAULTS": json.dumps({"steps": steps})}, develop)


ARMS: Final[Mapping[str, Arm]] = {
    "comfyui": Arm(comfyui, CHECKPOINTS[0], 0),
    "sdapi": Arm(sdapi, "default", _POLL_SECONDS),
}


async def measure(name: str, rounds: int, cores: Sequence[int]) -> Samples:
    """Generate so many pictures, one after the other, and one before that is not counted."""
    arm, moments, found = ARMS[name], Moments(), Samples()
    with tempfile.TemporaryDirectory() as folder:
        async with arm.run(moments) as local:
            table = {f"IMAGEGEN__PROVIDERS__LOCAL__{key}": value for key, value in local.settings.items()}
            os.sched_setaffinity(0, {cores[0]})
            environment = {"IMAGEGEN__PROVIDERS__LOCAL__TYPE": name, **table}
            async with server_process(Path(folder), **environment) as server, AsyncClient(server.address) as client:
                os.sched_setaffinity(0, {cores[-1]})
                for number in range(-1, rounds):
                    moments.there.clear()
                    moments.fetched.clear()
                    one = await _picture(client, f"local/{arm.model}", local, moments)
                    if number >= 0:
                        found.whole += one.whole
                        found.beside += one.beside
            os.sched_setaffinity(0, set(cores))
    return found


async def _picture(client: AsyncClient, model: str, local: Local, moments: Moments) -> Samples:
    found = Samples()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        develops = asyncio.ensure_future(local.develop())
        async with client.stream(model, "a boat", preview_count=PREVIEWS) as stream:
            async for event in stream:
                now = time.monotonic()
                # What was there before anything was measured is not counted.
                if isinstance(event, Preview) and (data := event.image.bytes) in moments.there:
                    moments.shown.set()
                    found.whole.append((now - moments.there[data]) * 1000)
                    found.beside.append((now - moments.fetched[data]) * 1000)
        await develops
    return found


def report(found: Mapping[str, Samples]) -> str:
    """Write the table."""
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {load}; milliseconds, median (99th percentile).",
        "",
        f"| | previews | asked every | since it was there | since it was fetched, at most {TARGET:g} | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, samples in found.items():
        asked = f"{ARMS[name].poll_seconds * 1000:.0f} ms" if ARMS[name].poll_seconds else "told unasked"
        reached = "reached" if median(samples.beside) <= TARGET else "**missed**"
        whole, beside = _text(samples.whole), _text(samples.beside)
        lines.append(f"| {name} | {len(samples.whole)} | {asked} | {whole} | {beside} | {reached} |")
    return "\n".join(lines) + "\n"


def _text(times: Sequence[float]) -> str:
    return f"{median(times):.1f} ({quantiles(times, n=100)[98]:.1f})"


def main() -> int:
    """Read the command line; a missed target is a result, not a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("providers", nargs="*", metavar="PROVIDER", choices=[*ARMS, []], default=[])
    parser.add_argument("--quick", action="store_true", help="one picture; its numbers mean nothing")
    parser.add_argument("--write", action="store_true", help="keep the table in README.md")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    rounds = 1 if asked.quick else int(os.environ.get("ROUNDS", "10"))
    found = {name: asyncio.run(measure(name, rounds, cores)) for name in asked.providers or ARMS}
    text = report(found)
    print(text)
    if asked.write and not asked.quick:
        put("local previews", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

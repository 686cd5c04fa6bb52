"""What docs/sizing.md reckons with: costs of an image as scaling.py has measured them, and what follows from them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import remote_readers
import saturation
from processes import HERE
from remote_readers import ALONE, MAKER, READ, RESUME, THERE
from saturation import ONE, ONE_BY_ONE, PREVIEWS, SATURATED
from scaling_report import Results
from shared_memory import IMAGE_LARGE, LOG, REQUEST_ID

PAGE: Final = HERE.parent / "docs" / "sizing.md"
RATES: Final = (10, 100, 1000, 3000)
BUSY: Final = 0.6
"""How busy a core may be in the plan: the rest is for times that are worse than the mean."""

TTL, REQUEST_TTL = 15 * 60, 24 * 60 * 60
"""The defaults of `store.ttl` and `store.request_ttl`."""

DRAWING: Final = 20
"""Seconds that an image is in the making, in the example."""

BYTES: Final = 1_573_773
"""The picture of the benchmark."""

_GIGA = 10**9

_Sample = remote_readers.Sample | saturation.Sample


@dataclass(frozen=True, slots=True)
class Costs:
    """Processor time of servers and of Redis for an image of 1.5 MB in milliseconds; bytes of Redis' memory."""

    server_ms: float
    redis_ms: float
    image: int
    log: int
    request_id: int


def page(found: Results) -> str:
    """Write the part of the page that is measured or reckoned from what is."""
    small, large = (found.saturated[cell, ONE] for cell in SATURATED)
    _, plain, previewed = (found.saturated[cell, ONE] for cell in ONE_BY_ONE)
    alone, there, read = (found.readers[key] for key in ((RESUME, ALONE), (RESUME, THERE), (READ, MAKER)))
    lines = [
        ("made and read at one process", _all(large, _server_ms), _all(large, _redis_ms)),
        ("the same of 10 KB", _all(small, _server_ms), _all(small, _redis_ms)),
        (
            "each preview, more",
            _more(previewed, plain, _server_ms, PREVIEWS),
            _more(previewed, plain, _redis_ms, PREVIEWS),
        ),
        (
            "each reader at another process, more",
            _more(there, alone, _server_ms),
            _more(there, alone, _redis_ms),
        ),
        ("ReadImage, at any process", _all(read, _server_ms), _all(read, _redis_ms)),
    ]
    costs = ["| an image of 1.5 MB | servers, ms | Redis, ms |", "| --- | --- | --- |"]
    costs += [f"| {what} | {servers:.2f} | {redis:.2f} |" for what, servers, redis in lines]
    beside = {kind: round(median(one.used for one in kept)) for kind, kept in found.memory.items()}
    kept = [
        ("an image of 1.5 MB, with its bytes", BYTES + beside[IMAGE_LARGE]),
        ("a generation's log", beside[LOG]),
        ("a `request_id`", beside[REQUEST_ID]),
    ]
    memory = ["| in Redis' memory | bytes |", "| --- | --- |", *(f"| {what} | {size:,} |" for what, size in kept)]
    first = lines[0]
    reckoned = Costs(round(first[1], 2), round(first[2], 2), kept[0][1], beside[LOG], beside[REQUEST_ID])
    return "\n".join([*costs, "", *memory, "", *worked(reckoned)]) + "\n"


def worked(costs: Costs) -> list[str]:
    """Work the table out."""
    head = (
        *("images a second", "in the making", "from providers, Gbit/s", "to callers, Gbit/s", "to Redis, Gbit/s"),
        *("workers", "Redis servers", "images for 15 min, GB", "logs, GB", "`request_id`s of 24 h, GB"),
    )
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for rate in RATES:
        gigabits = rate * BYTES * 8 / _GIGA
        cells = (
            *(f"{rate}", f"{rate * DRAWING:,}", f"{gigabits * 4 / 3:.2f}", f"{gigabits:.2f}", f"{gigabits:.2f}"),
            *(_cores(rate * costs.server_ms), _cores(rate * costs.redis_ms)),
            f"{rate * TTL * costs.image / _GIGA:,.0f}",
            f"{rate * TTL * costs.log / _GIGA:.2f}",
            f"{rate * REQUEST_TTL * costs.request_id / _GIGA:,.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cores(milliseconds: float) -> str:
    return str(math.ceil(milliseconds / 1000 / BUSY))


def _server_ms(one: _Sample) -> float:
    return one.server_ms


def _redis_ms(one: _Sample) -> float:
    return one.redis.cpu


def _all(samples: Sequence[_Sample], value: Callable[[_Sample], float]) -> float:
    return median(map(value, samples))


def _more(
    ones: Sequence[_Sample], others: Sequence[_Sample], value: Callable[[_Sample], float], parts: int = 1
) -> float:
    return median((value(one) - value(other)) / parts for one, other in zip(ones, others, strict=True))

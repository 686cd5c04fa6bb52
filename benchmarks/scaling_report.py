"""The tables of scaling.py: medians of the rounds with their range, ratios and differences taken round by round."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import bytes_places
import remote_readers
from bytes_places import BUCKET, REDIS, Cost
from results import spread
from saturation import IN_MEMORY, ONE, ONE_BY_ONE, SATURATED, TWO, Arm, Cell
from saturation import Sample as LoadSample
from shared_memory import Kept, Waiting
from sharing import MAX_BYTES

KB = 1000
_T = TypeVar("_T")


@dataclass(slots=True)
class Results:
    """Everything of one run."""

    rounds: int
    load_average: str
    redis_version: str = ""
    seconds: float = 0.0
    saturated: dict[tuple[Cell, Arm], list[LoadSample]] = field(default_factory=dict)
    readers: dict[tuple[str, str], list[remote_readers.Sample]] = field(default_factory=dict)
    places: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)
    memory: dict[str, list[Kept]] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)


def report(found: Results) -> str:
    """Write all tables."""
    about = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores for everything, load average before "
        f"{found.load_average}; Redis {found.redis_version}; {found.rounds} rounds, {found.seconds:.0f} s; "
        f"`store.max_bytes` {MAX_BYTES}.\nMedians (range) of the rounds."
    )
    parts = (about, _saturated(found), _one_by_one(found), _readers(found), _places(found), _memory(found))
    return "\n\n".join(parts) + "\n"


def _saturated(found: Results) -> str:
    rates, costs = [], []
    for cell in SATURATED:
        memory, one, two = (found.saturated[cell, arm] for arm in (IN_MEMORY, ONE, TWO))
        columns = [_over(arm, _per_second, 0) for arm in (memory, one, two)]
        columns += [_between(two, one, _per_second, _ratio, 2), _between(one, memory, _per_second, _ratio, 2)]
        rates.append((cell.title, *columns))
        for arm, samples in ((arm, found.saturated[cell, arm]) for arm in cell.arms):
            costs.append(
                (
                    f"{cell.title}, {arm.title}",
                    _over(samples, lambda one: one.server_ms, 2),
                    _over(samples, lambda one: one.redis.cpu, 2) if arm.redis else "",
                    _over(samples, lambda one: one.load_ms, 2),
                    _over(samples, lambda one: one.upstream_ms, 2),
                    _over(samples, lambda one: 1000 / one.server_ms, 0),
                    _over(samples, lambda one: one.upstream_busy * 100, 0) + " %",
                    _over(samples, lambda one: one.busiest * 100, 0) + " %" if arm.workers > 1 else "",
                )
            )
    return "\n\n".join(
        [
            "### Two workers and one\n\nImages a second by stream, 64 at a time over 64 connections.",
            _table(
                ("", *(arm.title for arm in (IN_MEMORY, ONE, TWO)), "2 workers : 1, Redis", "Redis : memory, 1 worker"),
                rates,
            ),
            "What one of these images takes of the processor, in milliseconds.",
            _table(
                (
                    *("", "servers", "Redis", "load generator", "upstream"),
                    *("images a second for a core of servers", "upstream busy", "share of the busier worker"),
                ),
                costs,
            ),
        ]
    )


def _one_by_one(found: Results) -> str:
    rows = []
    for cell in ONE_BY_ONE:
        memory, one = found.saturated[cell, IN_MEMORY], found.saturated[cell, ONE]
        rows.append(
            (
                cell.title,
                _over(memory, lambda sample: sample.median_ms, 1),
                _between(one, memory, lambda sample: sample.median_ms, _difference, 1),
                _over(memory, lambda sample: sample.server_ms, 1),
                _between(one, memory, lambda sample: sample.server_ms, _difference, 1),
                _over(one, lambda sample: sample.redis.cpu, 2),
                _over(one, lambda sample: sample.redis.came / KB, 0),
            )
        )
    head = ("", "ms, memory", "more with Redis", "CPU ms, memory", "more with Redis", "CPU ms of Redis", "KB to Redis")
    return (
        "### What Redis costs who generates\n\nOne image at a time by stream, read at the process that makes it.\n\n"
        + _table(head, rows)
    )


def _readers(found: Results) -> str:
    rows = []
    for kind, ways in remote_readers.WAYS.items():
        base = found.readers[kind, ways[0]]
        for way in ways:
            samples = found.readers[kind, way]
            later = "" if way == remote_readers.ALONE else _over(samples, lambda one: one.milliseconds, 1)
            shared = way != remote_readers.IN_MEMORY
            rows.append(
                (
                    f"{kind}: {way}",
                    later,
                    _over(samples, lambda one: one.server_ms, 1),
                    "" if samples is base else _between(samples, base, lambda one: one.server_ms, _difference, 1),
                    _over(samples, lambda one: one.redis.cpu, 2) if shared else "",
                    _over(samples, lambda one: one.redis.came / KB, 0) if shared else "",
                    _over(samples, lambda one: one.redis.went / KB, 0) if shared else "",
                )
            )
    head = (
        "second reader",
        "ms",
        "CPU ms of servers",
        "more than the first line",
        "CPU ms of Redis",
        "KB to",
        "KB from",
    )
    return (
        "### What a reader at another process costs\n\n1.5 MB, one at a time, with a `request_id`. The time is that by "
        "which the second reader has everything later than the\nfirst one; of ReadImage, that of the call.\n\n"
        + _table(head, rows)
    )


def _places(found: Results) -> str:
    title = "### Bytes in Redis and in a bucket\n\n"
    if not found.places:
        return f"{title}Not measured: versitygw was not there."
    rows = []
    for word in bytes_places.WORDS:
        columns: list[str] = []
        for place in (REDIS, BUCKET):
            costs = found.places[place, word]
            columns.append(_over(costs, lambda one: one.took, 1))
            columns.append(_over(costs, lambda one: one.own, 1))
            columns.append(_over(costs, lambda one: one.servers, 1))
        bucket, redis = found.places[BUCKET, word], found.places[REDIS, word]
        rows.append((word, *columns, _between(bucket, redis, lambda one: one.took, _ratio, 1)))
    head = ("1.5 MB", *(f"{place}, {what}" for place in (REDIS, BUCKET) for what in ("ms", "CPU ms", "CPU ms of it")))
    return title + _table((*head, "ratio of times"), rows)


def _memory(found: Results) -> str:
    rows = [
        (kind, _over(kept, lambda one: one.used, 0), f"{kept[0].counted:.0f}" if kept[0].counted else "not counted")
        for kind, kept in found.memory.items()
    ]
    memory, files = _over(found.waiting, lambda one: one.memory / KB, 0), _over(found.waiting, lambda one: one.files, 1)
    return (
        "### Memory\n\nBytes of Redis for one thing, and what the store counts for it in `store.max_bytes`.\n\n"
        + _table(("", "in Redis", "counted"), rows)
        + f"\n\nA stream that waits for its provider takes {memory} KB of its worker's memory, and {files} file"
        " descriptors beside those of\nthe callers' connections."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _over(samples: Sequence[_T], value: Callable[[_T], float], digits: int) -> str:
    return spread(map(value, samples)).text(digits)


def _per_second(sample: LoadSample) -> float:
    return sample.per_second


def _ratio(one: float, other: float) -> float:
    return one / other


def _difference(one: float, other: float) -> float:
    return one - other


def _between(
    ones: Sequence[_T],
    others: Sequence[_T],
    value: Callable[[_T], float],
    compare: Callable[[float, float], float],
    digits: int,
) -> str:
    return spread(compare(value(one), value(other)) for one, other in zip(ones, others, strict=True)).text(digits)

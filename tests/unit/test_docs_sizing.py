"""docs/sizing.md says what the benchmark has measured, what follows from it, and what the settings are."""

import math
import re

from imagegen_server.config import ServerTable, StoreTable
from imagegen_server.generation.fair_queue import QueueSettings
from imagegen_server.store.redis import connection

from tests.support.docs_page import Page
from tests.support.tools import ROOT

PAGE = Page("sizing.md")
BENCHMARK = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
BYTES = 1_573_773
COSTS, MEMORY, PLAN = "<!-- begin sizes -->", "ReadImage, at any process", "| a `request_id` |"


def numbers(heading: str) -> dict[str, list[float]]:
    """Read the table behind a text: its lines by their names."""
    return {row[0]: [float(cell.replace(",", "")) for cell in row[1:]] for row in PAGE.rows(heading)}


def measured(line: str) -> list[float]:
    """Read the medians of a line of the benchmark."""
    cells = BENCHMARK.rpartition(f"\n| {line} | ")[2].partition("\n")[0].split(" | ")
    return [float(cell.split()[0]) for cell in cells if "(" in cell]


def test_the_costs_are_those_of_the_benchmark() -> None:
    """Processor time of servers and Redis, and what lies in Redis beside the bytes of images."""
    costs, memory = numbers(COSTS), numbers(MEMORY)

    assert costs["made and read at one process"] == measured("1.5 MB, 1 worker, Redis")[:2]
    assert costs["the same of 10 KB"] == measured("10 KB, 1 worker, Redis")[:2]
    assert [memory["an image of 1.5 MB, with its bytes"][0] - BYTES] == measured("an image of 1.5 MB, beside its bytes")
    assert memory["a generation's log"] == measured("a generation's log")


def test_the_plan_follows_from_the_costs() -> None:
    """Line by line, as the page tells how."""
    servers_ms, redis_ms = numbers(COSTS)["made and read at one process"]
    image, log, request_id = (size for (size,) in numbers(MEMORY).values())
    store, plan = StoreTable(), numbers(PLAN)

    assert list(plan) == ["10", "100", "1000", "3000"]
    for name, found in plan.items():
        rate = int(name)
        gigabits = rate * BYTES * 8 / 1e9
        assert found == [
            *(rate * 20, round(gigabits * 4 / 3, 2), round(gigabits, 2), round(gigabits, 2)),
            *(math.ceil(rate * spent / 1000 / 0.6) for spent in (servers_ms, redis_ms)),
            round(rate * store.ttl * image / 1e9),
            round(rate * store.ttl * log / 1e9, 2),
            round(rate * store.request_ttl * request_id / 1e9, 1),
        ]


def test_the_limits_of_a_worker_are_those_of_the_settings() -> None:
    """And what they mean for images of unknown size, and of 1024 by 1024 pixels."""
    server, concurrency = ServerTable(), QueueSettings().concurrency

    assert f"{concurrency} requests at a time with a provider" in PAGE.sentences
    assert f"{concurrency} ÷ T images a second: with 20 s {concurrency / 20:g}" in PAGE.sentences
    assert f"{server.max_calls:,} calls in hand" in PAGE.sentences
    assert f"{server.max_bytes_in_flight // 2**24} images whose size is not known, " in PAGE.sentences
    assert f"{server.max_bytes_in_flight // (3 * 2**20)} of 1024 by 1024" in PAGE.sentences
    assert f"at most {connection._CONNECTIONS} to Redis" in PAGE.sentences
    assert f"room for {StoreTable().max_bytes // 2**24} images in the making" in PAGE.sentences
    assert re.findall(r"(\d+) images of 1.5 MB a second", PAGE.text) == [f"{10e9 / 8 / BYTES:.0f}"]

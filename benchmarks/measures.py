"""The measurements: processor time under load, time to the first preview, peak memory, start."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import grpc
from arms import ARMS, PLAIN, SERVICE, Arm, Bench
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imagegen.v1 import image_service_pb2_grpc
from load import FORMS, asked_for, request, run_load, verify
from pictures import LARGE, SIZES, SMALL, Size, png
from processes import Program, pinned
from upstream import WITHHELD_ANSWERS

DIRECT = "direct"
"""Who reads the upstream itself."""

PREVIEWS = 2
_TAIL_SECONDS = 0.05
"""After a load, for what a server still does when its last answer is out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. `requests`: by size and concurrency. `warm_up`: calls of 1.5 MB after each start."""

    rounds: int
    requests: Mapping[tuple[Size, int], int]
    warm_up: int
    first_previews: int
    peaks: int
    starts: int


FULL = Plan(
    rounds=5,
    requests={(SMALL, 1): 200, (SMALL, 8): 600, (SMALL, 64): 1200, (LARGE, 1): 40, (LARGE, 8): 120, (LARGE, 64): 192},
    # Fills the service's store (512 MiB), which then lets an image go for each that comes.
    warm_up=400,
    first_previews=15,
    peaks=3,
    starts=7,
)
QUICK = Plan(
    rounds=1,
    requests={(SMALL, 1): 20, (SMALL, 8): 48, (SMALL, 64): 128, (LARGE, 1): 8, (LARGE, 8): 16, (LARGE, 64): 64},
    warm_up=16,
    first_previews=3,
    peaks=1,
    starts=2,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One arm in one cell of one round. `cpu_ms` is for each request, as the other times in milliseconds."""

    round: int
    arm: str
    size: str
    form: str
    concurrency: int
    cpu_ms: float
    per_second: float
    median_ms: float
    longest_ms: float


@dataclass(frozen=True, slots=True)
class FirstPreview:
    """Milliseconds from a request to its first preview; `reader` is DIRECT or the name of an arm."""

    reader: str
    size: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory while 64 answers were in flight; in bytes."""

    arm: str
    form: str
    idle: int
    peak: int
    decoded: int

    @property
    def multiple(self) -> float:
        """What was used above idle, as a multiple of the decoded images."""
        return (self.peak - self.idle) / self.decoded


def cpu_round(bench: Bench, plan: Plan, number: int) -> Iterator[tuple[str, list[Sample]]]:
    """Measure every cell once on fresh servers, the order of the arms moved on with each cell and round.

    Yields the samples of one cell at a time, the warm-up first, with "warm-up" or "cell".
    """
    with ExitStack() as stack:
        servers = {arm: stack.enter_context(bench.arm(arm)) for arm in ARMS}
        for arm, server in servers.items():
            _measure(bench, arm, server, _Cell(number, SMALL, FORMS[1], 8), plan.requests[SMALL, 8])
        warm_up = _Cell(number, LARGE, FORMS[0], 8)
        yield "warm-up", [_measure(bench, arm, server, warm_up, plan.warm_up) for arm, server in servers.items()]
        cells = [_Cell(number, size, form, concurrency) for form in FORMS for (size, concurrency) in plan.requests]
        for position, cell in enumerate(cells):
            first = (number + position) % len(ARMS)
            yield (
                "cell",
                [
                    _measure(bench, arm, servers[arm], cell, plan.requests[cell.size, cell.concurrency])
                    for arm in (*ARMS[first:], *ARMS[:first])
                ],
            )


@dataclass(frozen=True, slots=True)
class _Cell:
    round: int
    size: Size
    form: str
    concurrency: int


def _measure(bench: Bench, arm: Arm, server: Program, cell: _Cell, requests: int) -> Sample:
    verify(server.address, cell.size, cell.form)
    time.sleep(_TAIL_SECONDS)
    asked, cpu = asked_for(bench.upstream), server.cpu_seconds
    load = run_load(server, cell.size, cell.form, requests=requests, concurrency=cell.concurrency, cores=bench.cores)
    time.sleep(_TAIL_SECONDS)
    cpu = server.cpu_seconds - cpu
    asked = asked_for(bench.upstream) - asked
    assert asked == (requests if arm.upstream else 0), f"{arm.name} asked the upstream {asked} times"
    return Sample(
        cell.round,
        arm.name,
        cell.size.prompt,
        cell.form,
        cell.concurrency,
        cpu * 1000 / requests,
        load.per_second,
        load.median_ms,
        load.longest_ms,
    )


def first_previews(bench: Bench, plan: Plan) -> list[FirstPreview]:
    """Take the time to the first preview, through the service and directly in turn, from a paced upstream."""
    with bench.arm(SERVICE, "paced") as server, pinned(bench.cores.load):
        return asyncio.run(_first_previews(bench.upstream.address, server.address, plan.first_previews))


async def _first_previews(upstream: str, server: str, times: int) -> list[FirstPreview]:
    host, _, port = upstream.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=4 * 1024 * 1024)
    taken = []
    options = (("grpc.enable_http_proxy", 0),)
    async with grpc.aio.insecure_channel(server, options=options) as channel:
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        for size in SIZES:
            for number in range(times + 1):
                direct = await _directly(reader, writer, size)
                through = await _through(stub, size)
                if number:  # the first time opens connections
                    taken.append(FirstPreview(DIRECT, size.prompt, direct * 1000))
                    taken.append(FirstPreview(SERVICE.name, size.prompt, through * 1000))
    writer.close()
    return taken


async def _directly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: Size) -> float:
    """Read the upstream until as many bytes have come as the base64 of a picture has, neither parsed nor decoded."""
    body = json.dumps(
        {"model": "gpt-image-2", "prompt": size.prompt, "stream": True, "partial_images": PREVIEWS}
    ).encode()
    start = time.perf_counter()
    writer.write(b"POST /paced/v1/images/generations HTTP/1.1\r\nHost: bench\r\n")
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    wanted = (len(png(size)) + 2) // 3 * 4
    received, seconds, end = 0, 0.0, b""
    while not end.endswith(b"\r\n0\r\n\r\n"):
        data = await reader.read(1024 * 1024)
        assert data, "the upstream hung up"
        received, end = received + len(data), (end + data)[-8:]
        if not seconds and received >= wanted:
            seconds = time.perf_counter() - start
    return seconds


async def _through(stub: "image_service_pb2_grpc.ImageServiceAsyncStub", size: Size) -> float:
    """Read the service until the last byte of the first preview, and then to the end."""
    start = time.perf_counter()
    seconds, preview = 0.0, b""
    async for event in stub.StreamGenerate(request(size, PREVIEWS), timeout=60):
        if event.HasField("chunk") and event.chunk.preview_number == 1:
            preview += event.chunk.data
            if len(preview) == len(png(size)):
                seconds = time.perf_counter() - start
    assert preview == png(size), "the first preview is not the picture that was sent"
    return seconds


def peaks(bench: Bench, plan: Plan, arms: Sequence[Arm] = (PLAIN, SERVICE)) -> Iterator[Peak]:
    """Measure fresh servers while the upstream withholds the end of 64 answers."""
    for _ in range(plan.peaks):
        for arm in arms:
            for form in FORMS:
                with bench.arm(arm, "withheld") as server:
                    time.sleep(_TAIL_SECONDS)
                    server.forget_peak()
                    idle = server.memory_bytes("VmRSS")
                    run_load(
                        server,
                        LARGE,
                        form,
                        requests=WITHHELD_ANSWERS,
                        concurrency=WITHHELD_ANSWERS,
                        cores=bench.cores,
                    )
                    yield Peak(arm.name, form, idle, server.memory_bytes("VmHWM"), WITHHELD_ANSWERS * len(png(LARGE)))


def starts(bench: Bench, plan: Plan) -> list[float]:
    """Take the seconds from starting the service to health SERVING."""
    seconds = []
    for _ in range(plan.starts):
        # The line that the server prints comes after it has said SERVING, so it ends the time.
        with bench.arm(SERVICE) as server, grpc.insecure_channel(server.address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            seconds.append(server.start_seconds)
    return seconds

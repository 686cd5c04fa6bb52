"""A client that is gone after any event of its stream comes back and misses nothing; the picture is bought once."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from imagegen.v1 import error_reason_pb2, image_pb2, image_service_pb2
from imagegen_server.domain.events import Complete, Phase, Preview, Progress, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import generate, watch
from tests.support.faults_reader import read_events
from tests.support.faults_setup import Event, connected, first, joined, resume, within
from tests.support.pictures import noisy_png
from tests.support.provider import ScriptedProvider
from tests.support.server import Running, as_config, running_server

PICTURES = [noisy_png(300, 300, seed=seed) for seed in (1, 2)]
"""Two chunks each."""
PREVIEWS = [noisy_png(260, 260, seed=seed) for seed in (3, 4)]
KINDS = [
    *("started", "progress"),
    *("preview", "preview chunk", "preview chunk", "complete", "chunk", "chunk"),
    *("preview", "preview chunk", "preview chunk", "complete", "chunk", "chunk"),
    "result",
]
"""Every event of the generation, as a reader sees it who is never interrupted."""
UNTIL_GATE = KINDS.index("complete") + 3
"""So many come before the provider pauses."""
FORGOTTEN = ("progress", "preview", "preview chunk")
"""Nobody needs them once the generation has ended."""
READER = Path(__file__).parents[1] / "support" / "faults_reader.py"


class Drawing:
    """A provider that draws two pictures, and pauses between them until `go_on`."""

    def __init__(self) -> None:
        """Pause at first."""
        self.go_on = asyncio.Event()
        self.provider = ScriptedProvider(script=self._draw)

    async def _draw(self, _task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        yield Progress(Phase.GENERATING)
        yield Preview(0, PREVIEWS[0])
        yield Complete(0, PICTURES[0])
        await self.go_on.wait()
        yield Preview(1, PREVIEWS[1])
        yield Complete(1, PICTURES[1])


@asynccontextmanager
async def drawing() -> AsyncIterator[tuple[Drawing, Running]]:
    """Serve such a provider."""
    made = Drawing()
    async with running_server(as_config("test", made.provider)) as server:
        yield made, server


def kinds_of(events: Sequence[Event]) -> list[str]:
    """Name the events."""
    return ["preview chunk" if event.chunk.preview_number else str(event.WhichOneof("event")) for event in events]


async def settled(server: Running) -> None:
    """Wait until the generation has ended and nobody reads it."""
    async with asyncio.timeout(30):
        while server.app.admission.calls:  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(0.001)


async def nobody_reads(server: Running) -> None:
    """Wait until the server has noticed that the reader is gone, while the generation goes on."""
    async with asyncio.timeout(30):
        while server.app.engine.detached != 1:  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(0.001)


def handle_of(kind: str, value: str, after: int = 0) -> image_service_pb2.ResumeRequest:
    """Ask to read on by one of the two ids."""
    return resume(after, generation_id=value) if kind == "generation_id" else resume(after, request_id=value)


@pytest.mark.parametrize("handle", ["generation_id", "request_id"])
@pytest.mark.parametrize(
    ("paused", "count"),
    [
        *(pytest.param(True, count, id=f"while-it-runs-{count}") for count in range(UNTIL_GATE + 1)),
        *(pytest.param(False, count, id=f"after-its-end-{count}") for count in range(len(KINDS) + 1)),
    ],
)
async def test_killed_after_an_event_and_resumed(paused: bool, count: int, handle: str) -> None:
    """Whatever the last event was, Resume continues behind it: the same end, the same bytes, one call upstream."""
    request = generate(options={"count": 2, "preview_count": 1})
    if handle == "request_id":
        request.request_id = "wish-1"
    else:
        request.on_disconnect = image_pb2.ON_DISCONNECT_DETACH
    async with drawing() as (made, server):
        if not paused:
            made.go_on.set()
        async with connected(server.address) as images:
            stream = images.StreamGenerate(request)
            metadata = dict(await stream.initial_metadata() or ())
            before = await first(stream, count)
        await (nobody_reads(server) if paused else settled(server))
        key = str(metadata[f"imagegen-{handle.replace('_', '-')}"])
        async with connected(server.address) as images:
            last = before[-1].sequence if before else 0
            rest = images.Resume(handle_of(handle, key, last))
            await rest.initial_metadata()
            made.go_on.set()
            seen = await watch(joined(before, rest))
            whole = await watch(images.Resume(handle_of(handle, key)))

    expected = KINDS[count:] or ["result"]
    if not paused:
        expected = [kind for kind in expected if kind not in FORGOTTEN]
    assert kinds_of(seen.events) == KINDS[:count] + expected
    numbers = [event.sequence for event in seen.events[: len(KINDS)]]
    assert numbers == sorted(set(numbers))
    assert seen.images == dict(enumerate(PICTURES))
    assert seen.events[-1] == whole.events[-1]
    assert whole.images == seen.images
    assert len(made.provider.tasks) == 1


@pytest.mark.parametrize("count", [1, 4, 7, UNTIL_GATE])
async def test_a_killed_process_is_succeeded_by_another(count: int, tmp_path: Path) -> None:
    """SIGKILL takes a client away without a word. Its successor has its file, reads on, and has every byte."""
    file = tmp_path / "events"
    async with drawing() as (made, server):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(READER), server.address, "wish-1", str(count), str(file)),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"read\n"
        finally:
            process.kill()
            await process.communicate()
        await nobody_reads(server)
        before = read_events(file)
        rest = server.images.Resume(resume(before[-1].sequence, request_id="wish-1"))
        await rest.initial_metadata()
        made.go_on.set()
        seen = await watch(joined(before, rest))

    assert len(before) == count
    assert kinds_of(seen.events) == KINDS
    assert seen.images == dict(enumerate(PICTURES))
    assert len(made.provider.tasks) == 1


async def test_killed_without_a_request_id_it_stops_and_keeps_what_is_finished() -> None:
    """Nobody asked for it to go on: the provider is left, and Resume tells of one picture and one CANCELLED failure."""
    async with drawing() as (made, server):
        async with connected(server.address) as images:
            stream = images.StreamGenerate(generate(options={"count": 2, "preview_count": 1}))
            before = await first(stream, UNTIL_GATE)
        await within(made.provider.closed)
        handle = before[0].started.generation_id
        after = resume(before[-1].sequence, generation_id=handle)
        seen = await watch(joined(before, server.images.Resume(after)))

    assert seen.images == {0: PICTURES[0]}
    assert seen.kinds[-2:] == ["failure", "result"]
    (failure,) = seen.result.failures
    assert (failure.index, failure.reason) == (1, error_reason_pb2.ERROR_REASON_CANCELLED)
    assert len(made.provider.tasks) == 1

"""A server that restarts, a socket that breaks or is taken away, frames that are garbage: no crash and no hang."""

import asyncio
import struct
from dataclasses import dataclass, field, replace

import pytest
import structlog
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken, Finished, LogEvent, Phase, PreviewShown, Progress
from imagegen_server.providers.comfyui import line

from tests.support.comfyui_api import FakeComfyUI
from tests.support.comfyui_pictures import plain
from tests.support.comfyui_provider import AT_ONCE, MODEL, ComfyUIWorkshop, comfyui_workshop, somebody_elses, workflow
from tests.support.comfyui_queue import Prompt
from tests.support.generation import drawing
from tests.support.http_server import PATIENCE
from tests.support.recording import RecordedRequest
from tests.support.vendor import Answer, html_answer

WISH = drawing(MODEL, preview_count=4)


@dataclass
class Gate:
    """Holds the server's sampler before one of its steps."""

    fake: FakeComfyUI
    at: int = 10
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Stand in the way."""
        self.fake.queue.before_step = self._wait

    async def _wait(self, _prompt: Prompt, _node: str, step: int) -> None:
        if step == self.at:
            self.reached.set()
            await self.open.wait()
        await asyncio.sleep(0)


async def midst(made: ComfyUIWorkshop, gate: Gate) -> "asyncio.Task[list[LogEvent]]":
    """Begin a generation, and wait until the server is in the midst of it."""
    task = asyncio.create_task(made.workshop.run(WISH))
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
    return task


async def end_of(task: "asyncio.Task[list[LogEvent]]") -> list[LogEvent]:
    """Wait for the end of a generation."""
    async with asyncio.timeout(PATIENCE):
        return await task


def previews(events: list[LogEvent]) -> int:
    """Count previews."""
    return sum(isinstance(event, PreviewShown) for event in events)


async def test_a_socket_that_breaks_is_opened_anew() -> None:
    """Under the same name; previews go on where the server is by then, and the picture comes."""
    async with comfyui_workshop() as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        made.fake.sockets.connected.clear()
        made.fake.sockets.cut()
        async with asyncio.timeout(PATIENCE):
            await made.fake.sockets.connected.wait()
        gate.open.set()
        events = await end_of(task)

    assert isinstance(events[-1], Finished)
    assert made.fake.sockets.opened == 2
    assert previews(events) == 4
    assert len(made.fake.queued) == 1


async def test_without_websockets_the_picture_comes_all_the_same() -> None:
    """A proxy that knows none: no previews, and the history tells the end."""
    async with comfyui_workshop() as made:
        made.fake.sockets.there = False
        with structlog.testing.capture_logs() as logged:
            events = await made.workshop.run(WISH)

    assert isinstance(events[-1], Finished)
    assert previews(events) == 0
    assert logged[0]["event"] == "no websocket"
    assert (logged[0]["reason"], logged[0]["http_status"]) == ("NETWORK_ERROR", 502)


async def test_a_handshake_that_hangs_is_not_waited_for() -> None:
    """The prompt is queued without a websocket."""
    async with comfyui_workshop(pace=replace(AT_ONCE, opening=0.02)) as made:
        made.fake.sockets.hangs = True
        with structlog.testing.capture_logs() as logged:
            events = await made.workshop.run(WISH)

    assert isinstance(events[-1], Finished)
    assert (logged[0]["event"], logged[0]["reason"]) == ("no websocket", "TIMEOUT")


async def test_pictures_that_were_pushed_to_nobody_are_missed() -> None:
    """Where a workflow pushes them and there is no websocket, nothing else has them."""
    async with comfyui_workshop(workflows={"castle": workflow("pushing")}) as made:
        made.fake.sockets.there = False
        broken = await made.workshop.broken(drawing("comfyui/castle"))

    assert (broken.error.reason, broken.error.billed) == (Reason.INVALID_RESPONSE, Billed.UNKNOWN)


async def test_a_socket_whose_place_was_taken_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is silent and stays open: the history tells the end, and another is opened meanwhile."""
    monkeypatch.setattr(line, "_SILENT", 2)
    async with comfyui_workshop() as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        made.fake.sockets.connected.clear()
        made.fake.sockets.evict()
        async with asyncio.timeout(PATIENCE):
            await made.fake.sockets.connected.wait()
        made.fake.sockets.evict()
        gate.open.set()
        events = await end_of(task)

    assert isinstance(events[-1], Finished)
    assert previews(events) == 2


async def test_a_server_that_restarts_has_lost_the_work() -> None:
    """It is told so, and that nobody knows what was spent; nothing is sent again."""
    async with comfyui_workshop() as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        await made.fake.restart()
        last = (await end_of(task))[-1]

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.PROVIDER_ERROR, Billed.UNKNOWN)
    assert "no longer knows the prompt: it was restarted" in last.error.message
    assert last.error.provider_request_id == made.fake.queued[0].json["prompt_id"]
    assert len(made.fake.queued) == 1


async def test_a_restarted_server_may_talk_a_lot() -> None:
    """What extensions send to every socket is no sign that the work is still there."""
    async with comfyui_workshop() as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        made.fake.sockets.connected.clear()
        await made.fake.restart()
        async with asyncio.timeout(PATIENCE):
            await made.fake.sockets.connected.wait()
            while not task.done():
                await made.fake.sockets.say(None, "crystools.monitor", {"cpu_utilization": 7})
                await asyncio.sleep(0)
        last = (await end_of(task))[-1]

    assert isinstance(last, Broken)
    assert "no longer knows the prompt" in last.error.message


async def test_a_server_that_does_not_come_back_is_given_up() -> None:
    """After a while in which nothing else was heard of it."""
    async with comfyui_workshop(pace=replace(AT_ONCE, patience=0.1)) as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        made.fake.sockets.there = False
        made.fake.sockets.cut()
        made.fake.retouch = lambda _call, _answer: html_answer(502)
        last = (await end_of(task))[-1]

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.http_status) == (Reason.PROVIDER_ERROR, 502)
    assert last.error.billed is Billed.UNKNOWN


async def test_trouble_of_asking_passes() -> None:
    """A server that answers nothing for a moment, and then what became of the prompt."""
    async with comfyui_workshop() as made:
        made.fake.sockets.there = False
        trouble = iter([html_answer(502), html_answer(404), Answer(breaks_off=True, pieces=[b""])])
        asked = made.fake.retouch

        def retouch(call: RecordedRequest, answer: Answer) -> Answer:
            return next(trouble, answer) if call.path.startswith("/history/") else answer

        made.fake.retouch = retouch
        events = await made.workshop.run(WISH)
        made.fake.retouch = asked

    assert isinstance(events[-1], Finished)
    assert next(trouble, None) is None


async def test_an_end_before_its_history_is_waited_for() -> None:
    """`execution_success` is said before the history has it."""
    async with comfyui_workshop() as made:
        asked = asyncio.Event()

        async def until_asked() -> None:
            await asked.wait()

        def retouch(call: RecordedRequest, answer: Answer) -> Answer:
            if call.path.startswith("/history/"):
                asked.set()
            return answer

        made.fake.queue.before_history = until_asked
        made.fake.retouch = retouch
        events = await made.workshop.run(WISH)

    assert isinstance(events[-1], Finished)


GARBAGE: list[str | bytes] = [
    *("", "{", "[]", "null", '{"type": 5}', '{"type": "progress"}', '{"type": "progress", "data": []}'),
    *('{"type": "executing", "data": {}}', '{"type": "executing", "data": {"node": null}}'),
    *('{"type": "executing", "data": {"node": {"x": 1}}}', '{"type": "execution_success", "data": {}}'),
    *('{"type": "progress", "data": {"value": NaN, "max": Infinity}}', '{"type": "progress", "data": {"max": -1}}'),
    '{"type": "progress_state", "data": {"nodes": {"3": {"state": "running", "value": [], "max": {}}, "4": 7}}}',
    *('{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": "many"}}}}', "[" * 100_000),
    *('{"type": "execution_cached", "data": {"nodes": [null, 3]}}', '{"type": "of.tomorrow", "data": {"node": "3"}}'),
    *('{"type": "execution_error", "data": {"prompt_id": "of somebody else"}}', "\x00\ufffd"),
    *(b"", b"\0", b"\0\0\0\1", b"\0\0\0\1\0\0\0\1", b"\0\0\0\1\0\0\0\1no picture", b"\0\0\0\2\0\0\0\1\xff\xd8\xff"),
    *(b"\0\0\0\4\xff\xff\xff\xff{}", b"\0\0\0\4\0\0\0\2{}", b"\0\0\0\4\0\0\0\2[]" + plain({}, 0.5, 0)[:5]),
    *(b"\0\0\0\3\0\0\0\1" + b"3words", b"\0\0\0\x63\0\0\0\1" + plain({}, 0.5, 0)),
]


async def test_garbage_changes_nothing() -> None:
    """Frames that cannot be read, are about another prompt, or are of a kind that nobody knows yet."""
    async with comfyui_workshop() as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        for frame in GARBAGE:
            await made.fake.sockets.push(None, frame)
        gate.open.set()
        with structlog.testing.capture_logs() as logged:
            events = await end_of(task)

    assert isinstance(events[-1], Finished)
    assert previews(events) == 4
    (told,) = [entry for entry in logged if entry["event"] == "frames that cannot be read"]
    assert told["count"] > 10


async def test_previews_of_others_are_not_shown() -> None:
    """A frame that names another prompt."""
    metadata = b'{"node_id": "3", "prompt_id": "of somebody else"}'
    frame = struct.pack(">II", 4, len(metadata)) + metadata + plain({}, 0.123, 0)
    async with comfyui_workshop() as made:
        gate = Gate(made.fake, at=20)
        task = await midst(made, gate)
        await made.fake.sockets.push(None, frame)
        gate.open.set()
        events = await end_of(task)

    assert plain({}, 0.123, 0) not in [event.data for event in events if isinstance(event, PreviewShown)]


async def test_a_message_that_is_too_long_ends_its_socket_alone() -> None:
    """It is not kept, and the picture comes."""
    huge = b"\0\0\0\1\0\0\0\1" + b"x" * (line._MOST_MESSAGE_BYTES + 1)
    async with comfyui_workshop() as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        made.fake.sockets.connected.clear()
        pushing = asyncio.create_task(made.fake.sockets.push(None, huge))
        async with asyncio.timeout(PATIENCE):
            await made.fake.sockets.connected.wait()
            await asyncio.wait([pushing])
        gate.open.set()
        events = await end_of(task)

    assert isinstance(events[-1], Finished)
    assert made.fake.sockets.opened == 2


@pytest.mark.parametrize(
    ("said", "words", "code"),
    [
        (
            {
                "exception_type": "torch.OutOfMemoryError",
                "exception_message": "Allocation on device \nThis error means",
            },
            "node 3 (KSampler): Allocation on device",
            "torch.OutOfMemoryError",
        ),
        (
            {"exception_type": "RuntimeError", "exception_message": "cannot draw 'a portrait of my neighbour'"},
            "(the prompt)",
            "RuntimeError",
        ),
    ],
)
async def test_a_node_that_fails_is_told(said: dict[str, str], words: str, code: str) -> None:
    """As soon as it has; with its class, and without the caller's words."""
    async with comfyui_workshop() as made:
        made.fake.queue.fails = said
        broken = await made.workshop.broken(replace(WISH, prompt="a portrait of my neighbour"))

    assert (broken.error.reason, broken.error.billed) == (Reason.PROVIDER_ERROR, Billed.UNKNOWN)
    assert broken.error.provider_code == code
    assert words in broken.error.message
    assert "neighbour" not in broken.error.message
    assert [call.path for call in made.fake.requests] == ["/prompt"]


async def test_what_is_blocked_ends_nothing() -> None:
    """A node may keep others from running, and what does not depend on it goes on."""
    async with comfyui_workshop() as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        assert made.fake.queue.running is not None
        blocked = {"prompt_id": made.fake.queue.running.id, "node_id": "3", "exception_type": "ExecutionBlocked"}
        await made.fake.sockets.say(None, "execution_error", blocked)
        gate.open.set()
        events = await end_of(task)

    assert isinstance(events[-1], Finished)


async def test_somebody_may_stop_it_on_the_server() -> None:
    """By its own button."""
    async with comfyui_workshop() as made:
        gate = Gate(made.fake)
        task = await midst(made, gate)
        made.fake.queue.interrupt(None)
        gate.open.set()
        last = (await end_of(task))[-1]

    assert isinstance(last, Broken)
    assert last.error.message == "comfyui: the prompt was interrupted on the server"


@pytest.mark.parametrize("there", [True, False], ids=["by the websocket", "without one"])
async def test_a_place_in_the_queue_is_told(there: bool) -> None:
    """How many are before it, whenever that changes."""
    async with comfyui_workshop() as made:
        gate, queue, told = Gate(made.fake, at=1), made.fake.queue, asyncio.Event()
        for _ in range(2):
            somebody_elses(made.fake)

        def retouch(call: RecordedRequest, answer: Answer) -> Answer:
            if call.path == "/queue":
                told.set()
            return answer

        made.fake.retouch = retouch
        made.fake.sockets.there = there
        async with asyncio.timeout(PATIENCE):
            await gate.reached.wait()
            task = asyncio.create_task(made.workshop.run(WISH))
            await told.wait()
        assert len(queue.pending) == 2
        gate.open.set()
        events = await end_of(task)

    places = [event.queue_position for event in events if isinstance(event, Progress) and event.queue_position]
    assert places == sorted(places, reverse=True)
    assert places[0] == 2
    assert all(event.phase is Phase.QUEUED for event in events if isinstance(event, Progress) and event.queue_position)

"""What is told of one prompt on the websocket, frame by frame, and what of it is shown."""

from collections.abc import Iterator, Mapping

from imagegen_server.domain.events import Phase, Preview, Progress, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.http.error_context import ErrorContext

from .errors import BLOCKED, error_of_execution, interrupted
from .frames import Picture, Told, read_frame, text
from .workflow import Workflow

PUSHER = "SaveImageWebsocket"
"""The class of nodes that push finished pictures as others push previews."""

_KINDS = frozenset({"execution_start", "execution_cached", "executing", "executed", "progress", "progress_state"})
"""What is said of a prompt while it runs, in old versions without its id."""

_USUAL_STEPS = 20
_MOST_STEPS = 2**31


class Watch:
    """Reads the frames of a prompt. The socket has an id of its own, so nobody else's previews come by it."""

    def __init__(self, task: Task, workflow: Workflow, prompt_id: str, context: ErrorContext) -> None:
        """Begin with a prompt that waits. `context` is that of the answer to what was queued."""
        self.prompt_id = prompt_id
        self.started = False
        self.ended = False
        """The server has said that it is done with it; what it came to is in its history."""
        self.heard = 0
        """Frames that were about it."""
        self.remaining = 0
        """Prompts in the server's queue, as it last said, all that run included."""
        self.history: Mapping[str, object] = {}
        """What it came to, if somebody has asked already."""
        self.pushed: list[bytes] = []
        """Finished pictures that came by the websocket, as many as were asked for."""
        self.pushed_more = 0
        """How many came beyond."""
        self.garbage = 0
        """Frames that could not be read."""
        self._task = task
        self._workflow = workflow
        self._context = context
        self._executing = ""
        self._value, self._steps = 0, 0
        self._done: set[str] = set()
        self._sampled: list[str] = []
        self._shown = 0
        self._fraction = 0.0
        self._last: Progress | None = None

    def feed(self, message: str | bytes) -> Iterator[ProviderEvent]:
        """Yield what a message shows. What cannot be read, or is about something else, shows nothing.

        :raises ImageError: the prompt has failed
        """
        frame = read_frame(message)
        if frame is None:
            self.garbage += 1
        elif isinstance(frame, Picture):
            yield from self._picture(frame)
        elif frame.kind == "status":
            self._status(frame.data)
        elif text(frame.data.get("prompt_id")) in ("", self.prompt_id):
            self.heard += frame.kind in _KINDS
            self._end(frame)
            self._told(frame)
            yield from self._progress()

    @property
    def waits(self) -> bool:
        """Others run before it."""
        return not self.started and not self.ended and self.remaining > 1

    def _status(self, data: Mapping[str, object]) -> None:
        status = data.get("status")
        info = status.get("exec_info") if isinstance(status, Mapping) else None
        remaining = info.get("queue_remaining") if isinstance(info, Mapping) else None
        self.remaining = _whole(remaining)

    def _end(self, frame: Told) -> None:
        """Note an end, which is told with the id of the prompt.

        :raises ImageError: it has failed
        """
        data = frame.data
        if text(data.get("prompt_id")) != self.prompt_id:
            return
        if frame.kind == "execution_error" and text(data.get("exception_type")) != BLOCKED:
            self.ended = True
            raise error_of_execution(self._context, data)
        if frame.kind == "execution_interrupted":
            self.ended = True
            raise interrupted(self._context)
        last = frame.kind == "executing" and "node" in data and data["node"] is None
        self.ended = self.ended or last or frame.kind == "execution_success"

    def _told(self, frame: Told) -> None:
        data = frame.data
        match frame.kind:
            case "execution_start":
                self.started = True
            case "execution_cached":
                nodes = data.get("nodes")
                self._done |= {node for node in nodes if isinstance(node, str)} if isinstance(nodes, list) else set()
            case "executing":
                self._executes(data.get("node"))
            case "executed":
                self._done.add(text(data.get("node")))
            case "progress":
                self._step(text(data.get("node")) or self._executing, data.get("value"), data.get("max"))
            case "progress_state":
                self._states(data.get("nodes"))

    def _executes(self, node: object) -> None:
        if not isinstance(node, str):
            return
        self.started = True
        self._done.add(self._executing)
        if node != self._executing:
            self._executing, self._value, self._steps = node, 0, 0

    def _states(self, nodes: object) -> None:
        for node, told in list(nodes.items()) if isinstance(nodes, Mapping) else []:
            state = told.get("state") if isinstance(told, Mapping) else None
            if state == "finished":
                self._done.add(node)
            elif state == "running" and isinstance(told, Mapping):
                self._step(node, told.get("value"), told.get("max"))

    def _step(self, node: str, value: object, steps: object) -> None:
        if not _whole(steps):
            return
        self.started = True
        self._executing, self._steps = node, _whole(steps)
        self._value = min(_whole(value), self._steps)
        if node in self._workflow.samplers and node not in self._sampled:
            self._sampled.append(node)

    def _progress(self) -> Iterator[Progress]:
        if not self.started or self.ended:
            return
        stepping = self._steps > 1
        progress = Progress(
            Phase.GENERATING,
            fraction=self._overall(),
            step=self._value if stepping else None,
            steps=self._steps if stepping else None,
            message=self._context.name(self._workflow.class_of(self._executing)),
        )
        if progress != self._last:
            self._last = progress
            yield progress

    def _overall(self) -> float:
        """Tell how much is done of all. A sampler takes about as much longer than other nodes as it has steps."""
        graph, samplers = self._workflow.graph, self._workflow.samplers
        weights = {node: self._steps_of(node) if node in samplers else 1 for node in graph}
        done = sum(weight for node, weight in weights.items() if node in self._done and node != self._executing)
        done_here = weights.get(self._executing, 0) * (self._value / self._steps if self._steps else 0)
        self._fraction = max(self._fraction, min((done + done_here) / sum(weights.values()), 1.0))
        return self._fraction

    def _steps_of(self, node: str) -> int:
        steps = self._workflow.graph[node]["inputs"].get("steps")
        return min(_whole(steps), 10_000) or _USUAL_STEPS

    def _picture(self, picture: Picture) -> Iterator[Preview]:
        if picture.prompt_id not in ("", self.prompt_id):
            return
        self.heard += 1
        node = picture.node or self._executing
        if self._workflow.class_of(node) == PUSHER:
            if len(self.pushed) < self._task.count:
                self.pushed.append(picture.data)
            else:
                self.pushed_more += 1
            return
        wanted = self._task.preview_count
        if self._shown >= wanted or self._reached() < (self._shown + 1) / (wanted + 1):
            return
        self._shown += 1
        told = {"node": self._context.name(node)} if node else {}
        yield Preview(0, picture.data, told | ({"step": self._value, "steps": self._steps} if self._steps > 1 else {}))

    def _reached(self) -> float:
        """Tell how far the drawing is, from 0 to 1, so that previews are spread over all of it."""
        if not self._steps:
            return 1.0
        samplers = max(len(self._workflow.samplers), len(self._sampled), 1)
        before = self._sampled.index(self._executing) if self._executing in self._sampled else 0
        return (before + self._value / self._steps) / samplers


def _whole(value: object) -> int:
    """Take a number of things; 0 = it is none."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if plain and isinstance(value, int | float) and 0 <= value < _MOST_STEPS else 0

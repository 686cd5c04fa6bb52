"""One attempt at a task, and plain questions to the server on its behalf."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.task import Task
from imagegen_server.http.answer import Answer
from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure, read_object
from imagegen_server.providers.base import Call

from .errors import error_of_answer
from .workflow import Workflow

_MOST_BYTES = 64 * 1024 * 1024
"""Of a history or a queue: each prompt in it has its graph, and a graph may hold pictures."""

_QUESTION_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """When the server is asked, in seconds, beside what it tells by itself.

    After `quiet` without news of the prompt it is asked how far that is; without a websocket every `poll`, while a new
    one is tried after `first` and then ever more seldom, up to `longest`. Trouble is borne for `patience`. A prompt
    that is `missing` so often in a row is lost. What a prompt that has ended came to is asked for `tries` times, with
    `again` before the second and ever more before the others. A websocket has `opening` to be there; then it is done
    without.
    """

    quiet: float = 5.0
    poll: float = 1.0
    first: float = 0.5
    longest: float = 10.0
    patience: float = 120.0
    missing: int = 3
    tries: int = 8
    again: float = 0.05
    opening: float = 5.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt. `provider` is the configured name; `graph` is what is queued."""

    provider: str
    task: Task
    call: Call
    http: HttpClient
    workflow: Workflow
    pace: Pace
    key: str = field(repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """Say who asks, to a proxy in front of the server."""
        return key_header(self.key)

    def context_of(self, answer: Answer) -> ErrorContext:
        """Tell with what an answer is read."""
        http = self.http
        return ErrorContext(
            self.provider, http.host, answer.status, answer.headers, self.task.prompt, self.key, http.header_values
        )

    async def get_object(self, path: str) -> Mapping[str, object]:
        """Ask for a JSON object; empty = it is none.

        :raises ImageError: a refusal, or what happened to the connection
        """
        async with asyncio.timeout(_QUESTION_SECONDS), self.http.get(path, self.headers) as answer:
            if not answer.ok:
                raise error_of_answer(self.context_of(answer), await read_failure(answer))
            return read_object(await answer.read(_MOST_BYTES))

    async def post(self, path: str, body: JsonObject) -> None:
        """Tell the server something whose answer says nothing.

        :raises ImageError: what happened to the connection
        """
        async with self.http.post_json(path, body, self.headers) as answer:
            await read_failure(answer)

    async def history(self, prompt_id: str) -> Mapping[str, object]:
        """Ask what a prompt came to; empty = it has not ended, or is not known.

        :raises ImageError: as `get_object`
        """
        told = (await self.get_object(f"/history/{quote(prompt_id, safe='')}")).get(prompt_id)
        return told if isinstance(told, Mapping) else {}

    async def queue_place(self, prompt_id: str) -> int | None:
        """Ask how many prompts are before one; 0 = it runs, None = it is not in the queue.

        :raises ImageError: as `get_object`
        """
        running, pending = await self.queue()
        if any(entry.prompt_id == prompt_id for entry in running):
            return 0
        number = next((entry.number for entry in pending if entry.prompt_id == prompt_id), None)
        if number is None:
            return None
        return len(running) + sum(entry.number < number for entry in pending) or 1

    async def queue(self) -> "tuple[list[Entry], list[Entry]]":
        """Ask which prompts run and which wait.

        :raises ImageError: as `get_object`
        """
        queue = await self.get_object("/queue")
        return _entries(queue.get("queue_running")), _entries(queue.get("queue_pending"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt in the queue. They are taken by their numbers. `client_id` "" = not told."""

    number: float
    prompt_id: str
    client_id: str


def key_header(key: str) -> dict[str, str]:
    """Say who asks."""
    return {"Authorization": f"Bearer {key}"} if key else {}


async def call_off(exchange: Exchange, prompt_id: str, client_id: str) -> bool:
    """Have a prompt of ours not begun, or stopped; tells whether there was one. Nobody else's is touched.

    New servers do both by one request. The `/interrupt` of old ones stops whatever runs, so they are first asked what
    does; those in between let it go if another prompt runs by then. Old ones choose the id of a prompt, which may not
    be known here yet: the name of our socket tells which is ours.
    """
    path = f"/api/jobs/{quote(prompt_id, safe='')}/cancel"
    async with exchange.http.send_empty("POST", path, exchange.headers) as answer:
        told = await read_failure(answer)
        if answer.ok:
            return read_object(told).get("cancelled") is True
    found = False
    for _ in range(2):  # it may begin between the question and the request
        ours = [
            [entry for entry in entries if entry.prompt_id == prompt_id or entry.client_id == client_id]
            for entries in await exchange.queue()
        ]
        running, pending = ours
        for entry in running:
            await exchange.post("/interrupt", {"prompt_id": entry.prompt_id})
        found = found or bool(running or pending)
        if not pending:
            break
        await exchange.post("/queue", {"delete": [entry.prompt_id for entry in pending]})
    return found


async def call_off_late(exchange: Exchange, own_id: str) -> None:
    """Have a prompt called off that the server may still be taking on: it is looked for some times."""
    for delay in (0.0, exchange.pace.first, 4 * exchange.pace.first):
        await asyncio.sleep(delay)
        if await call_off(exchange, own_id, own_id):
            return


def _entries(queue: object) -> list[Entry]:
    """Read entries of the queue, which are lists: number, id of the prompt, graph, what came beside it."""
    found = []
    for entry in queue if isinstance(queue, list) else []:
        match entry:
            case [int() | float() as number, str(prompt_id), _, {"client_id": str(client_id)}, *_]:
                found.append(Entry(float(number), prompt_id, client_id))
            case [int() | float() as number, str(prompt_id), *_]:
                found.append(Entry(float(number), prompt_id, ""))
    return found


def passes(trouble: ImageError) -> bool:
    """Tell whether the same question may fare better later."""
    status = trouble.http_status
    return status is None or status in (404, 408, 425, 429) or status >= 500  # noqa: PLR2004 - classes of RFC 9110

"""Logs in Redis streams, and what processes tell each other. See Peers in generation/peers.py.

Keys: `g:ID` what is told of a generation, `l:ID` its log, whose entries have its own numbers, `p:ID:NUMBER` previews,
`q:CALLER:REQUEST` the newest generation of a request_id, `x:CALLER:REQUEST` a Cancel
that may have come before its wish, `m:NAME` what is told to a process. All of them have a time.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, cast

from imagegen_server.domain.errors import ImageError
from imagegen_server.generation.log import SLOW_READER_SECONDS
from imagegen_server.generation.peers import Card, Copied, Message, Word

from .codec import decode, encode
from .connection import Script
from .requests import pair
from .settings import BYTES_SECONDS
from .worker import MICROSECONDS, Worker

_MESSAGE_SECONDS = 60.0
_LISTEN_SECONDS = 5.0
_RETRY_SECONDS = 0.25
_MOST_MESSAGES = 10_000

_WRITE = Script(
    """
local P, id, request, card, age, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local log, about, last = P .. 'l:' .. id, P .. 'g:' .. id, 0
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
if newest[1] then last = tonumber(string.match(newest[1][1], '^(%d+)')) end
if last < tonumber(ARGV[7]) then return 0 end
if redis.call('EXISTS', about) == 0 then
  local clock = redis.call('TIME')
  redis.call('HSET', about, 'card', card, 'start', string.format('%.0f', clock[1] * 1000000 + clock[2] - age))
  redis.call('SET', P .. 'q:' .. request, id)
end
for i = 8, #ARGV, 4 do
  if tonumber(ARGV[i]) > last then
    redis.call('XADD', log, ARGV[i] .. '-1', 'last', ARGV[i + 1], 'elapsed', ARGV[i + 2], 'event', ARGV[i + 3])
  end
end
redis.call('PEXPIRE', about, ttl)
redis.call('PEXPIRE', log, ttl)
redis.call('PEXPIRE', P .. 'q:' .. request, ttl)
return 1
""",
    when_full=True,
)
"""generation, request, card, age, ttl, what is there already, then for each entry: first, last, elapsed, event."""

_CARD = Script("""
local found = redis.call('HMGET', ARGV[1] .. 'g:' .. ARGV[2], 'card', 'start')
if not found[1] then return false end
local clock = redis.call('TIME')
return {found[1], string.format('%.0f', clock[1] * 1000000 + clock[2] - found[2])}
""")
"""generation -> card and age."""

_ALIVE = Script("""
local lease = redis.call('ZSCORE', ARGV[1] .. 'workers', ARGV[2])
local clock = redis.call('TIME')
return lease and tonumber(lease) > clock[1] * 1000000 + clock[2]
""")
"""worker."""

_TELL = Script(
    """
local key = ARGV[1] .. 'm:' .. ARGV[2]
redis.call('XADD', key, 'MAXLEN', '~', ARGV[4], '*', 'said', ARGV[3])
redis.call('PEXPIRE', key, ARGV[5])
""",
    when_full=True,
)
"""worker, message, most messages, ttl."""


class RedisPeers:
    """The processes that share a Redis."""

    def __init__(self, worker: Worker, ttl: float) -> None:
        """`ttl`: so long after its last entry a log can be read."""
        self._worker = worker
        self._connection = worker.connection
        self._prefix = worker.connection.prefix
        self._ttl = round(ttl * 1000)

    async def write(self, card: Card, age: float, entries: Sequence[Copied], *, behind: int) -> bool:
        """Put entries into the stream of a log, once what is owed is done: it may tell of their images."""
        if self._worker.owes:
            await self._worker.pay()
        said = json.dumps([card.request_id, card.caller, card.model, card.count])
        written: list[str | int | float] = []
        for entry in entries:
            written += entry.first, entry.last, entry.elapsed, encode(entry.event)
        request = pair(card.caller, card.request_id)
        about = card.generation_id, request, said, round(age * MICROSECONDS), self._ttl, behind
        return bool(await self._connection.run(_WRITE, *about, *written))

    async def write_preview(self, generation_id: str, first: int, data: bytes) -> None:
        """Keep a preview as long as its log."""
        key = self._preview(generation_id, first)
        await self._connection.ask("SET", key, data, "PX", self._ttl, seconds=BYTES_SECONDS)

    async def supersede_preview(self, generation_id: str, first: int) -> None:
        """Leave a preview to those who are at it."""
        await self._connection.ask("PEXPIRE", self._preview(generation_id, first), round(SLOW_READER_SECONDS * 1000))

    async def preview(self, generation_id: str, first: int) -> bytes | None:
        """Read the bytes of a preview."""
        key = self._preview(generation_id, first)
        return cast("bytes | None", await self._connection.ask("GET", key, seconds=BYTES_SECONDS))

    async def card(self, generation_id: str) -> tuple[Card, float] | None:
        """Tell what is known of a generation, and its age by Redis' clock."""
        found = await self._connection.run(_CARD, generation_id)
        if found is None:
            return None
        request_id, caller, model, count = json.loads(found[0])
        return Card(generation_id, request_id, caller, model, count), int(found[1]) / MICROSECONDS

    async def find_request(self, caller: str, request_id: str) -> str:
        """Tell which generation a request_id means."""
        found: bytes | None = await self._connection.ask("GET", f"{self._prefix}q:{pair(caller, request_id)}")
        return found.decode() if found else ""

    async def entries(self, generation_id: str, after: int, seconds: float = 0.0) -> Sequence[Copied]:
        """Read the stream of a log."""
        answer = await self._read(f"{self._prefix}l:{generation_id}", f"{after}-9", seconds)
        return [
            Copied(int(id_.partition(b"-")[0]), int(said[b"last"]), float(said[b"elapsed"]), decode(said[b"event"]))
            for id_, said in answer
        ]

    async def note_cancel(self, caller: str, request_id: str, seconds: float) -> None:
        """Remember a Cancel by a key that goes by itself."""
        key = f"{self._prefix}x:{pair(caller, request_id)}"
        await self._connection.ask("SET", key, 1, "PX", round(seconds * 1000))

    async def cancelled(self, caller: str, request_id: str) -> bool:
        """Look for that key."""
        return bool(await self._connection.ask("EXISTS", f"{self._prefix}x:{pair(caller, request_id)}"))

    async def alive(self, name: str) -> bool:
        """Tell whether a process has a lease."""
        return bool(await self._connection.run(_ALIVE, name))

    async def tell(self, name: str, message: Message) -> None:
        """Put a message into the stream of a process."""
        said = json.dumps([message.sender, message.word.value, message.generation_id, message.seconds])
        await self._connection.run(_TELL, name, said, _MOST_MESSAGES, round(_MESSAGE_SECONDS * 1000))

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Read the stream of this process."""
        last = "0-0"
        while True:
            try:
                answer = await self._read(f"{self._prefix}m:{self._worker.name}", last, _LISTEN_SECONDS)
            except ImageError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for id_, said in answer:
                last = id_.decode()
                sender, word, generation_id, seconds = json.loads(said[b"said"])
                yield Message(sender, Word(word), generation_id, seconds)

    def _preview(self, generation_id: str, first: int) -> str:
        return f"{self._prefix}p:{generation_id}:{first}"

    async def _read(self, key: str, after: str, seconds: float) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
        if seconds:
            wait = round(seconds * 1000)
            answer: Any = await self._connection.wait("XREAD", "BLOCK", wait, "STREAMS", key, after, seconds=seconds)
        else:
            answer = await self._connection.ask("XREAD", "STREAMS", key, after, seconds=BYTES_SECONDS)
        return answer[0][1] if answer else []

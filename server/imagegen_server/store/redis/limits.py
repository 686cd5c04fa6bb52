"""What callers have in hand and have asked for, at all processes together: generation/caller_limits.py for several.

Keys: `calls:CALLER` a hash from each process to the number of calls that it has in hand for the caller, `asked:CALLER`
a sorted set of what was asked for, "COUNT:ID", by the microsecond, `images:CALLER` the sum of that.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import cast

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.caller_limits import WINDOW_SECONDS, too_many_calls, too_many_images
from imagegen_server.generation.generation import do_nothing

from .connection import Script
from .worker import MICROSECONDS, Worker

_CLOCK = """
local P = ARGV[1]
local clock = redis.call('TIME')
local NOW = clock[1] * 1000000 + clock[2]
local function whole(number) return string.format('%.0f', number) end
"""

_FORGOTTEN_MS = 24 * 60 * 60 * 1000
"""So long after its last change the number of calls of a caller is kept."""

_ADMIT = Script(
    _CLOCK
    + f"""
local key, worker, calls, most = P .. 'calls:' .. ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local others, told = 0, redis.call('HGETALL', key)
for i = 1, #told, 2 do
  if told[i] ~= worker then
    local lease = redis.call('ZSCORE', P .. 'workers', told[i])
    if lease and tonumber(lease) > NOW then
      others = others + told[i + 1]
    else
      redis.call('HDEL', key, told[i])
    end
  end
end
if others + calls > most then return others end
redis.call('HSET', key, worker, calls)
redis.call('PEXPIRE', key, {_FORGOTTEN_MS})
return false
""",
    when_full=True,
)
"""caller, worker, its calls with the new one, most -> nothing, or how many the others have, which are too many."""

_TELL = Script(
    f"""
local key = ARGV[1] .. 'calls:' .. ARGV[4]
if ARGV[6] == '0' then redis.call('HDEL', key, ARGV[5]) else redis.call('HSET', key, ARGV[5], ARGV[6]) end
redis.call('PEXPIRE', key, {_FORGOTTEN_MS})
""",
    when_full=True,
)
"""caller, worker, its calls."""

_ASK = Script(
    _CLOCK
    + """
local asked, total, entry = P .. 'asked:' .. ARGV[4], P .. 'images:' .. ARGV[4], ARGV[6] .. ':' .. ARGV[5]
local images, most, window = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if redis.call('ZSCORE', asked, entry) then return false end  -- it was sent twice
local sum, over = tonumber(redis.call('GET', total) or 0), 0
for _, old in ipairs(redis.call('ZRANGEBYSCORE', asked, '-inf', whole(NOW - window))) do
  sum = sum - tonumber(string.match(old, '^%d+'))
end
redis.call('ZREMRANGEBYSCORE', asked, '-inf', whole(NOW - window))
over = sum + images - most
if over > 0 then
  redis.call('SET', total, sum, 'KEEPTTL')
  local place, at = 0, NOW
  while over > 0 do
    local one = redis.call('ZRANGE', asked, place, place, 'WITHSCORES')
    if not one[1] then break end
    over, at, place = over - tonumber(string.match(one[1], '^%d+')), tonumber(one[2]) + window, place + 1
  end
  return {sum, whole(at - NOW)}
end
redis.call('ZADD', asked, whole(NOW), entry)
redis.call('SET', total, sum + images)
redis.call('PEXPIRE', asked, whole(math.ceil(window / 1000)))
redis.call('PEXPIRE', total, whole(math.ceil(window / 1000)))
return false
"""
)
"""caller, id, images, most, window -> nothing, or what was asked for already and the wait in microseconds."""


class RedisCallerLimits:
    """The limits of processes that share a Redis.

    Each tells how many calls it has in hand, not that one came or went, so that nothing that is lost or said twice is
    counted for ever; what a process has told counts as long as the process is there.
    """

    def __init__(self, worker: Worker, window: float = WINDOW_SECONDS) -> None:
        """Start with nothing in hand. Images count for `window` seconds."""
        self._worker = worker
        self._window = round(window * MICROSECONDS)
        self._calls: dict[str, int] = {}
        """Of this process, by caller."""
        self._turn = asyncio.Lock()
        worker.on_return.append(self._tell_all)

    async def admit(self, caller: Caller) -> Callable[[], None]:
        """Take a call in hand. While Redis is away the limit is that of this process: what runs is still to be read."""
        if caller.max_calls is None and caller.images_per_minute is None:
            return do_nothing
        if caller.max_calls is not None:
            async with self._turn:
                await self._admit(caller, caller.max_calls)
        else:
            self._change(caller, 1)
        left = [caller]

        def release() -> None:
            if left:
                self._change(left.pop(), -1)

        return release

    async def ask_for(self, caller: Caller, images: int) -> None:
        """Count images, by the clock of Redis."""
        if not images or caller.images_per_minute is None:
            return
        refused = await self._worker.run(
            _ASK, caller.name, secrets.token_hex(8), images, caller.images_per_minute, self._window
        )
        if refused is not None:
            asked, wait = cast("tuple[int, bytes]", refused)
            raise too_many_images(caller, images, asked, int(wait) / MICROSECONDS)

    async def _admit(self, caller: Caller, most: int) -> None:
        """Take a call in hand if Redis lets it in; one at a time, so that none is counted that may be refused."""
        calls = self._calls.get(caller.name, 0) + 1
        told: int | None = None
        try:
            others = await self._worker.run(_ADMIT, caller.name, self._worker.name, calls, most)
            told = calls if others is None else calls - 1
        except ImageError as error:
            if error.reason is not Reason.STORE_UNAVAILABLE:
                raise
            others = 0 if calls > most else None
        finally:
            # Also if this call was cancelled, and Redis may have counted it.
            if told is None:
                self._tell(caller.name)
        if others is not None:
            raise too_many_calls(caller, calls - 1 + cast("int", others))
        self._change(caller, 1, told)

    def _change(self, caller: Caller, more: int, told: int | None = None) -> None:
        """Count a call more or less. `told` is what Redis knows, which may be older than what was owed to it since."""
        calls = self._calls[caller.name] = self._calls.get(caller.name, 0) + more
        if caller.max_calls is not None and calls != told:
            self._tell(caller.name)

    def _tell(self, name: str) -> None:
        """Let Redis know, as soon as it takes that, how many calls are in hand then."""
        self._worker.owe(("calls", name), _TELL, name, self._worker.name, self._calls.get(name, 0))

    async def _tell_all(self) -> None:
        for name in self._calls:
            self._tell(name)

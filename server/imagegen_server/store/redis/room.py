"""The steps that Redis does for the store, and the count of its bytes that all of them keep.

Beside the keys themselves:

- `room`: a hash of counters, as store/room.py has them: kept, of it lasting, spare, reserved
- `held`: a hash from each counted key, without the prefix, to "bytes:class"; k = kept, l = kept and lasting, s = spare
- `expiry`: a sorted set of counted keys by the microsecond at which they are counted no more
- `delivered`: a sorted set of those that may go, in the order in which they reached their callers
- `workers`: a sorted set of processes by the microsecond at which they count as gone; for each a hash
  `reserved:NAME` of its reservations and a set `claims:NAME` of the request ids whose generations it runs

Redis forgets keys by itself at their time; every step that needs room first takes what has gone out of the count. All
times are those of Redis, so that clocks of different machines do not matter.
"""

from .connection import Script

IMAGE_BYTES = 1664
"""What an image takes beside its bytes and its metadata."""

UPLOAD_BYTES = 1024
"""What an upload takes beside its data; there may be a great many small ones."""

REQUEST_BYTES = 864
"""One record with its counts, without its texts."""

_COUNTING = """
local P, MAX, REQUEST_TTL = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local NOW = clock[1] * 1000000 + clock[2]

local function whole(number) return string.format('%.0f', number) end

local function count(name) return tonumber(redis.call('HGET', P .. 'room', name) or 0) end

local function add(name, size)
  if size ~= 0 and redis.call('HINCRBY', P .. 'room', name, whole(size)) < 0 then
    redis.call('HSET', P .. 'room', name, 0)  -- what was counted is gone with a Redis that forgot
  end
end

local function add_class(class, size)
  if class == 's' then add('spare', size) else add('kept', size) end
  if class == 'l' then add('lasting', size) end
end

local function held(key)
  local found = redis.call('HGET', P .. 'held', key)
  if not found then return 0, nil end
  local size, class = string.match(found, '^(%d+):(%a)$')
  return tonumber(size), class
end

local function hold(key, size, class, expiry)
  local old, was = held(key)
  if was then add_class(was, -old) end
  redis.call('HSET', P .. 'held', key, whole(size) .. ':' .. class)
  add_class(class, size)
  if expiry then
    redis.call('ZADD', P .. 'expiry', whole(expiry), key)
  else
    redis.call('ZREM', P .. 'expiry', key)
  end
end

local function expire(key, at) redis.call('PEXPIREAT', P .. key, whole(math.ceil(at / 1000))) end

local function drop(key)
  local size, class = held(key)
  if class then add_class(class, -size) end
  redis.call('HDEL', P .. 'held', key)
  redis.call('ZREM', P .. 'expiry', key)
  redis.call('ZREM', P .. 'delivered', key)
  redis.call('UNLINK', P .. key)
  local kind, name = string.sub(key, 1, 2), string.sub(key, 3)
  if kind == 'i:' then redis.call('UNLINK', P .. 'b:' .. name) end
  if kind == 'u:' then redis.call('UNLINK', P .. 'd:' .. name) end
end

local function give_back(worker, name, left)
  local key = P .. 'reserved:' .. worker
  local had = tonumber(redis.call('HGET', key, name) or 0)
  if left > had then left = had end
  if left > 0 then redis.call('HSET', key, name, whole(left)) else redis.call('HDEL', key, name) end
  add('reserved', left - had)
end

local function forget_worker(worker)
  for _, name in ipairs(redis.call('HKEYS', P .. 'reserved:' .. worker)) do give_back(worker, name, 0) end
  for _, key in ipairs(redis.call('SMEMBERS', P .. 'claims:' .. worker)) do
    -- Nobody will settle it: what became of it is not known, and that is remembered as long as any outcome.
    if redis.call('EXISTS', P .. key) == 1 then
      redis.call('ZADD', P .. 'expiry', whole(NOW + REQUEST_TTL), key)
      expire(key, NOW + REQUEST_TTL)
    else
      drop(key)
    end
  end
  redis.call('DEL', P .. 'claims:' .. worker)
  redis.call('ZREM', P .. 'workers', worker)
end

local function sweep()
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', P .. 'expiry', '-inf', whole(NOW), 'LIMIT', 0, 1000)) do
    drop(key)
  end
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. 'workers', '-inf', whole(NOW), 'LIMIT', 0, 10)) do
    forget_worker(worker)
  end
end

local function fits(size, lasting)
  local long = count('lasting')
  if lasting and long + size > MAX / 2 then return false end
  return count('kept') + count('reserved') + math.min(size, MAX - long) <= MAX
end

local function make()
  while count('spare') > 0 and count('kept') + count('reserved') + count('spare') > MAX do
    local first = redis.call('ZRANGE', P .. 'delivered', 0, 0)[1]
    if not first then redis.call('HSET', P .. 'room', 'spare', 0) return end
    drop(first)
  end
end

sweep()
"""


def _script(text: str, *, when_full: bool = False) -> Script:
    return Script(_COUNTING + text, when_full)


RESERVE = _script("""
local worker, name, size = ARGV[4], ARGV[5], tonumber(ARGV[6])
local key = P .. 'reserved:' .. worker
if redis.call('HEXISTS', key, name) == 0 then
  if not fits(size, false) then return 'busy' end
  size = math.min(size, MAX - count('lasting'))
  redis.call('HSET', key, name, whole(size))
  add('reserved', size)
  make()
end
return redis.call('HGET', key, name)
""")
"""worker, reservation, size -> what is reserved, or "busy"."""

GIVE_BACK = _script(
    """
for i = 5, #ARGV, 2 do give_back(ARGV[4], ARGV[i], tonumber(ARGV[i + 1])) end
""",
    when_full=True,
)
"""worker, then reservations each with what is left of it."""

PUT = _script(
    """
local id, caller, said, size, ttl = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local key = 'i:' .. id
if redis.call('EXISTS', P .. key) == 0 then
  redis.call('HSET', P .. key, 'caller', caller, 'said', said, 'expiry', whole(NOW + ttl))
  expire(key, NOW + ttl)
  hold(key, size, 'k', NOW + ttl)
  redis.call('DEL', P .. 'k:' .. id)
  if ARGV[10] ~= '' then give_back(ARGV[9], ARGV[10], tonumber(ARGV[11])) end
  make()
end
return redis.call('HGET', P .. key, 'expiry')
""",
    when_full=True,
)
"""image, caller, facts, size, ttl, worker, reservation or "", what is left of it -> when it expires."""

FORGET = _script("drop('i:' .. ARGV[4])", when_full=True)
"""image: what tells of it, and the bytes if they lie in Redis."""

KEPT_ELSEWHERE = _script("redis.call('SET', P .. 'k:' .. ARGV[4], ARGV[5], 'PX', ARGV[6])", when_full=True)
"""image, caller, ttl in ms: a process holds it alone, for this caller."""

DELIVERED = _script(
    """
for i = 4, #ARGV do
  local key = 'i:' .. ARGV[i]
  local size, class = held(key)
  if class == 'k' and redis.call('HEXISTS', P .. key, 'upload') == 0 then
    add_class('k', -size)
    add_class('s', size)
    redis.call('HSET', P .. 'held', key, whole(size) .. ':s')
    redis.call('ZADD', P .. 'delivered', redis.call('HINCRBY', P .. 'room', 'deliveries', 1), key)
  end
end
make()
""",
    when_full=True,
)
"""images."""

ADD_PIECE = _script(f"""
local name, size, offset, data, ttl = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local made = redis.call('GET', P .. 'f:' .. name)
if made and redis.call('EXISTS', P .. 'i:' .. made) == 1 then
  local key = 'i:' .. made
  local has = redis.call('HGET', P .. key, 'upload')
  if has ~= size then return {{'size', has}} end
  redis.call('HSET', P .. key, 'expiry', whole(NOW + ttl))
  redis.call('ZADD', P .. 'expiry', whole(NOW + ttl), key)
  for _, one in ipairs({{key, 'b:' .. made, 'f:' .. name}}) do expire(one, NOW + ttl) end
  return {{'image', made, redis.call('HGET', P .. key, 'said'), whole(NOW + ttl)}}
end
local key, bytes = 'u:' .. name, P .. 'd:' .. name
local begun = redis.call('GET', P .. key)
if not begun then
  if #data == 0 or offset > 0 then return {{'at', 0}} end
  if not fits({UPLOAD_BYTES} + #data, false) then return {{'busy'}} end
  redis.call('SET', P .. key, size)
  redis.call('UNLINK', bytes)
  hold(key, {UPLOAD_BYTES}, 'k', NOW + ttl)
elseif begun ~= size then
  return {{'size', begun}}
end
local there = redis.call('STRLEN', bytes)
local more = offset + #data - there
if offset <= there and more > 0 then
  if not fits(more, false) then return {{'busy'}} end
  there = redis.call('APPEND', bytes, string.sub(data, #data - more + 1))
  hold(key, {UPLOAD_BYTES} + there, 'k', NOW + ttl)
  expire(key, NOW + ttl)
  expire('d:' .. name, NOW + ttl)
  make()
end
return {{'at', there}}
""")
"""upload, size, offset, data, ttl -> what came of it."""

FINISH = _script(
    f"""
local name, id, caller, said, size, ttl = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])
local made = redis.call('GET', P .. 'f:' .. name)
if made and redis.call('EXISTS', P .. 'i:' .. made) == 1 then
  local key = P .. 'i:' .. made
  return {{made, redis.call('HGET', key, 'said'), redis.call('HGET', key, 'expiry')}}
end
if id == '' or redis.call('GET', P .. 'u:' .. name) ~= size
  or redis.call('STRLEN', P .. 'd:' .. name) ~= tonumber(size) then return false end
drop('u:' .. name)
local key = 'i:' .. id
redis.call('HSET', P .. key, 'caller', caller, 'said', said, 'expiry', whole(NOW + ttl), 'upload', size)
redis.call('SET', P .. 'f:' .. name, id)
for _, one in ipairs({{key, 'b:' .. id, 'f:' .. name}}) do expire(one, NOW + ttl) end
hold(key, {UPLOAD_BYTES} + size, 'k', NOW + ttl)
return {{id, said, whole(NOW + ttl)}}
""",
    when_full=True,
)
"""upload, image or "" = only look, caller, facts, size, ttl -> image, facts and when it expires, or nothing."""

DROP_UPLOAD = _script("drop('u:' .. ARGV[4])", when_full=True)
"""upload."""

CLAIM = _script("""
local key, worker, id, record, size = 'r:' .. ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local found = redis.call('HMGET', P .. key, 'id', 'record', 'ended', 'failure')
if found[1] and found[1] ~= id then return found end
if not found[1] then
  if not fits(size, true) then return 'busy' end
  redis.call('HSET', P .. key, 'id', id, 'record', record)
  redis.call('SADD', P .. 'claims:' .. worker, key)
  hold(key, size, 'l', nil)
  make()
end
return false
""")
"""request, worker, generation, record, size -> nothing, or what stands there, or "busy"."""

SETTLE = _script(
    """
local key, worker, id, record, size, failure = 'r:' .. ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]
local there = redis.call('HGET', P .. key, 'id')
redis.call('SREM', P .. 'claims:' .. worker, key)
if there and there ~= id then return end
redis.call('HSET', P .. key, 'id', id, 'record', record, 'ended', 1)
if failure ~= '' then redis.call('HSET', P .. key, 'failure', failure) end
hold(key, size, 'l', NOW + REQUEST_TTL)
expire(key, NOW + REQUEST_TTL)
make()
""",
    when_full=True,
)
"""request, worker, generation, record, size, failure or "": written anew if Redis has lost it."""

FREE = _script(
    """
local key, worker, id = 'r:' .. ARGV[4], ARGV[5], ARGV[6]
if id == '' or redis.call('HGET', P .. key, 'id') == id then
  redis.call('SREM', P .. 'claims:' .. worker, key)
  drop(key)
end
""",
    when_full=True,
)
"""request, worker, generation or "" = whatever stands there."""

BEAT = _script(
    """
return redis.call('ZADD', P .. 'workers', whole(NOW + ARGV[5]), ARGV[4])
""",
    when_full=True,
)
"""worker, lease -> 1 if nobody knew of it."""

LEAVE = _script("forget_worker(ARGV[4])", when_full=True)
"""worker."""

READOPT = _script(
    """
local worker = ARGV[4]
for i = 5, #ARGV do
  local key = 'r:' .. ARGV[i]
  if redis.call('EXISTS', P .. key) == 1 and not redis.call('HGET', P .. key, 'ended') then
    redis.call('PERSIST', P .. key)
    redis.call('ZREM', P .. 'expiry', key)
    redis.call('SADD', P .. 'claims:' .. worker, key)
  end
end
""",
    when_full=True,
)
"""worker, requests: those that it still runs, after it was thought to be gone."""

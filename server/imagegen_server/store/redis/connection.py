"""Commands and scripts to Redis, each with its time, and what it means when they fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from imagegen_server.domain.errors import ImageError, Reason

from .settings import BYTES_SECONDS, COMMAND_SECONDS, RedisSettings
from .trouble import describe_trouble

_OLDEST = 7
"""The first Redis whose scripts may say that they run when memory is full."""

_CONNECTIONS = 32
"""For commands. One that waits holds a connection of its own."""


_logger = structlog.get_logger("imagegen.store")


@dataclass(frozen=True, slots=True)
class Script:
    """What Redis does in one step. `when_full`: also when its memory is full, for it frees more than it takes."""

    text: str
    when_full: bool = False

    @property
    def source(self) -> str:
        """The whole of it. A script without the flag is refused by a full Redis before it has changed anything."""
        return ("#!lua flags=allow-oom\n" if self.when_full else "#!lua\n") + self.text


def away(problem: Exception | None = None) -> ImageError:
    """Make the error of a Redis that does not answer, or refuses."""
    word = type(problem).__name__ if problem is not None else "TimeoutError"
    return ImageError(Reason.STORE_UNAVAILABLE, f"the server's store does not answer ({word}); nothing new is bought")


class Connection:
    """One process's way to Redis.

    Once it does not answer, it counts as away until something that is sent as a probe is answered: otherwise everybody
    would wait for it. Every command is sent again once if its connection has broken: all of them may be done twice.
    """

    def __init__(self, settings: RedisSettings) -> None:
        """Connect when something is asked for."""
        given: dict[str, Any] = {
            "socket_connect_timeout": COMMAND_SECONDS,
            "socket_timeout": None,  # every command has its own
            "retry": Retry(NoBackoff(), 1),
            "health_check_interval": 0,
        }
        if settings.password is not None:
            given["password"] = settings.password.reveal()
        if settings.ca is not None:
            given["ssl_ca_certs"] = settings.ca
        pool = BlockingConnectionPool.from_url(
            settings.url, max_connections=_CONNECTIONS, timeout=COMMAND_SECONDS, **given
        )
        self._commands = Redis(connection_pool=pool)
        self._waiting = Redis(connection_pool=ConnectionPool.from_url(settings.url, **given))
        """For commands that wait. Each holds a connection as long as it does."""
        self._answers = True
        self._scripts: dict[Script, Any] = {}
        self.url = settings.url
        self.prefix = settings.prefix + ":"

    async def check(self) -> None:
        """See that Redis answers and is new enough, and tell in the log if it may throw away what is kept.

        :raises OSError: it does not, or is not
        """
        try:
            async with asyncio.timeout(BYTES_SECONDS):
                about = await self._commands.info()
        except (RedisError, OSError) as problem:  # a TimeoutError is an OSError
            raise ConnectionError(f"store.url: {self.url} {describe_trouble(problem, self.url)}") from None
        version = str(about.get("redis_version", "0"))
        if int(version.partition(".")[0]) < _OLDEST:
            raise ConnectionError(f"store.url: {self.url} is Redis {version}; {_OLDEST}.0 or newer is needed")
        policy = about.get("maxmemory_policy", "noeviction")
        if about.get("maxmemory") and policy != "noeviction":
            _logger.warning("store may forget what it must keep", maxmemory_policy=policy, needed="noeviction")

    async def run(
        self, script: Script, *arguments: str | bytes | float, seconds: float | None = None, probing: bool = False
    ) -> Any:
        """Run a script with the prefix and these arguments.

        While Redis is away, only what is `probing` is sent, and all else fails at once.

        :raises ImageError: STORE_UNAVAILABLE
        """
        registered = self._scripts.get(script)
        if registered is None:
            registered = self._scripts[script] = self._commands.register_script(script.source)
        async with self._in_time(seconds, probing=probing):
            return await registered(args=[self.prefix, *arguments])

    async def ask(self, *command: str | bytes | float, seconds: float | None = None) -> Any:
        """Send one command, whose keys have the prefix already.

        :raises ImageError: STORE_UNAVAILABLE
        """
        async with self._in_time(seconds):
            return await self._commands.execute_command(*command)  # type: ignore[no-untyped-call]

    async def wait(self, *command: str | bytes | float, seconds: float) -> Any:
        """Send a command that blocks for at most `seconds`, over a connection that is in nobody's way.

        :raises ImageError: STORE_UNAVAILABLE
        """
        async with self._in_time(seconds + COMMAND_SECONDS):
            return await self._waiting.execute_command(*command)  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def _in_time(self, seconds: float | None, *, probing: bool = False) -> AsyncIterator[None]:
        if not self._answers and not probing:
            raise away()
        try:
            async with asyncio.timeout(COMMAND_SECONDS if seconds is None else seconds):
                yield
        except ResponseError as problem:
            self._answers = True
            raise away(problem) from None
        except (RedisError, OSError) as problem:  # a TimeoutError is an OSError
            self._answers = False
            raise away(problem) from None
        self._answers = True

    async def close(self) -> None:
        """Hang up."""
        for client in (self._commands, self._waiting):
            await client.aclose()
            await client.connection_pool.disconnect()


class RedisBytes:
    """Images' bytes in Redis itself. See BytesStore."""

    def __init__(self, connection: Connection) -> None:
        """Keep them beside everything else."""
        self._connection = connection

    async def put(self, name: str, data: bytes, ttl: float) -> None:
        """Keep bytes; Redis refuses them when its memory is full."""
        key = f"{self._connection.prefix}b:{name}"
        await self._connection.ask("SET", key, data, "PX", max(1, round(ttl * 1000)), seconds=BYTES_SECONDS)

    async def get(self, name: str) -> bytes | None:
        """Read them."""
        found: bytes | None = await self._connection.ask(
            "GET", f"{self._connection.prefix}b:{name}", seconds=BYTES_SECONDS
        )
        return found

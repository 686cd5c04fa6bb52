"""Commands and scripts to Redis, each with its time, and what it means when they fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from imagegen_server.domain.errors import ImageError, Reason

from .settings import BYTES_SECONDS, COMMAND_SECONDS, RedisSettings

_CONNECTIONS = 32
"""For commands. One that waits holds a connection of its own."""


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

    Every command is sent again once if its connection has broken: all of them may be done twice.
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
        self._scripts: dict[Script, Any] = {}
        self.prefix = settings.prefix + ":"

    async def run(self, script: Script, *arguments: str | bytes | float, seconds: float = COMMAND_SECONDS) -> Any:
        """Run a script with the prefix and these arguments.

        :raises ImageError: STORE_UNAVAILABLE
        """
        registered = self._scripts.get(script)
        if registered is None:
            registered = self._scripts[script] = self._commands.register_script(script.source)
        async with _in_time(seconds):
            return await registered(args=[self.prefix, *arguments])

    async def ask(self, *command: str | bytes | float, seconds: float = COMMAND_SECONDS) -> Any:
        """Send one command, whose keys have the prefix already.

        :raises ImageError: STORE_UNAVAILABLE
        """
        async with _in_time(seconds):
            return await self._commands.execute_command(*command)  # type: ignore[no-untyped-call]

    async def wait(self, *command: str | bytes | float, seconds: float) -> Any:
        """Send a command that blocks for at most `seconds`, over a connection that is in nobody's way.

        :raises ImageError: STORE_UNAVAILABLE
        """
        async with _in_time(seconds + COMMAND_SECONDS):
            return await self._waiting.execute_command(*command)  # type: ignore[no-untyped-call]

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


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except (RedisError, OSError) as problem:  # a TimeoutError is an OSError
        raise away(problem) from None

"""What the store in Redis says when a server starts with it."""

import secrets
import sys
from collections.abc import Callable

import pytest
from imagegen_server.app import App
from imagegen_server.config import Config, ConfigError, ServerTable, StoreTable
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import StoreSettings
from imagegen_server.store.redis.settings import RedisSettings
from imagegen_server.store.redis.store import RedisStore, open_store
from structlog.testing import capture_logs

from tests.support.redis_server import redis_server

PASSWORD = "hunter2-secret"


def store_of(url: str, password: str | None = None) -> RedisStore:
    """Make a store that has asked for nothing yet."""
    reached = RedisSettings(url, Secret(password) if password else None, secrets.token_hex(8))
    return open_store(StoreSettings(), reached, Ids(shared=True))


async def refused(store: RedisStore) -> str:
    """Tell why a server does not start with a store."""
    with pytest.raises(OSError, match=r"^store\.url: ") as caught:
        await store.start()
    await store.close()
    return str(caught.value)


async def test_a_redis_that_is_not_there_is_said_at_the_start() -> None:
    """With its address and what the system says."""
    said = await refused(store_of("redis://127.0.0.1:1/0"))

    assert "redis://127.0.0.1:1/0" in said


async def test_a_password_is_needed_and_given() -> None:
    """Without it, and with a wrong one, the server does not start; nothing repeats it."""
    with redis_server("--requirepass", PASSWORD) as server:
        without, wrong = await refused(store_of(server.url)), await refused(store_of(server.url, "wrong-secret"))
        store = store_of(server.url, PASSWORD)
        await store.start()
        await store.close()

    assert "wrong-secret" not in without + wrong
    assert PASSWORD not in without + wrong


async def test_an_old_redis_is_refused(redis: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With its version and the one that is needed."""
    store = store_of(redis())

    async def info() -> dict[str, object]:
        return {"redis_version": "6.2.14"}

    monkeypatch.setattr(store._connection._commands, "info", info)

    assert "is Redis 6.2.14; 7.0 or newer is needed" in await refused(store)


async def test_a_redis_that_may_forget_is_warned_of() -> None:
    """With any policy but noeviction a request_id may go, and be bought twice."""
    with redis_server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        store = store_of(server.url)
        with capture_logs() as lines:
            await store.start()
        await store.close()

    (line,) = [line for line in lines if line["event"] == "store may forget what it must keep"]
    assert (line["maxmemory_policy"], line["needed"]) == ("allkeys-lru", "noeviction")


def test_a_missing_package_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of what is to be installed; check-config says it, too."""
    for name in [name for name in sys.modules if name == "redis" or name.startswith("redis.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("imagegen_server.store.redis.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Missing(), *sys.meta_path])

    with pytest.raises(ConfigError, match=r"install imagegen-server\[redis\]"):
        App(Config(ServerTable(), StoreTable(url="redis://x"), (), {}))


class _Missing:
    """Finds the package redis nowhere."""

    def find_spec(self, name: str, *_: object) -> None:
        """Refuse it."""
        if name == "redis":
            raise ModuleNotFoundError("No module named 'redis'", name="redis")

"""Servers that share a store, when it or one of them is gone: nothing hangs, nothing is bought in vain or lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.config import StoreTable
from imagegen_server.domain.caller import ANONYMOUS
from imagegen_server.domain.errors import ImageError
from imagegen_server.generation import elsewhere
from imagegen_server.store.redis import connection, worker

from tests.support.calls import generate, watch
from tests.support.faults_setup import first, read_image, resume
from tests.support.gated import LARGE, Gated
from tests.support.pictures import png
from tests.support.provider import Script, ScriptedProvider, draw_all, first_only, never
from tests.support.redis_server import RedisServer, redis_server
from tests.support.server import Running
from tests.support.shared import redis_store, refused, sharing_servers, store_at, until
from tests.support.tcp_relay import TcpRelay


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a Redis or a process that is gone in tenths of seconds."""
    monkeypatch.setattr(connection, "COMMAND_SECONDS", 0.5)
    monkeypatch.setattr(connection, "BYTES_SECONDS", 0.5)
    monkeypatch.setattr(worker, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(worker, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(elsewhere, "GONE_SECONDS", 0.3)
    monkeypatch.setattr(elsewhere, "WAIT_SECONDS", 0.1)


async def die(server: Running) -> None:
    """Let a server vanish for all others, as if its process was killed."""
    assert server.app._publisher is not None
    store = redis_store(server.app)
    for task in (store.worker._beating, *server.app._publisher._tasks, *server.app._publisher._copying):
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@asynccontextmanager
async def own_redis(*options: str) -> AsyncIterator[tuple[RedisServer, StoreTable]]:
    """Run a Redis that a test may do harm to."""
    with redis_server(*options) as server:
        yield server, store_at(server.url)


def two(script: Script) -> tuple[ScriptedProvider, ScriptedProvider]:
    """Make a provider for each of two servers, which do the same."""
    return ScriptedProvider(script), ScriptedProvider(script)


async def test_what_a_dead_server_was_at_ends_with_an_error_that_says_so(redis: Callable[[], str]) -> None:
    """A reader elsewhere hears that nobody knows what it cost; asked for again it is not bought again."""
    here, there = two(never)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        stream = one.images.StreamGenerate(generate(request_id="mine"))
        await first(stream, 2)
        reader = other.images.Resume(resume(request_id="mine"))
        before = await first(reader, 2)
        await die(one)

        errors = [await refused(first(reader, 99))]
        errors.append(await refused(other.images.Generate(generate(request_id="mine"))))
        errors.append(await refused(first(other.images.Resume(resume(before[-1].sequence, request_id="mine")), 9)))

        for error in errors:
            assert (error.code, error.reason, error.billed) == (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR", "unknown")
            assert "gone" in error.message
        assert not there.tasks
        stream.cancel()


async def test_what_a_dead_server_had_finished_is_there(redis: Callable[[], str]) -> None:
    """The first of two pictures comes whole, the second is a failure of which nobody knows the cost."""
    async with sharing_servers(store_at(redis()), *two(first_only)) as (one, other):
        stream = one.images.StreamGenerate(generate(request_id="mine", options={"count": 2}))
        await until(stream, "complete")
        async with asyncio.timeout(10):
            await first(other.images.Resume(resume(request_id="mine")), 2)  # it has been written down
        await die(one)

        seen = await watch(other.images.Resume(resume(request_id="mine")))
        unary = await other.images.Generate(generate(request_id="mine", options={"count": 2}))

        assert seen.images[0] == unary.images[0].image.data == png(8, 8)
        (failure,) = seen.result.failures
        assert (failure.index, failure.billed) == (1, image_pb2.BILLED_UNKNOWN)
        numbers = [event.sequence for event in seen.events]
        assert numbers == sorted(numbers)
        stream.cancel()


async def test_while_redis_is_gone_what_runs_ends_and_nothing_begins() -> None:
    """The running call gets its picture; a new one is STORE_UNAVAILABLE, free, and reaches no provider."""
    script = Gated()
    async with own_redis() as (redis, store):
        here, there = two(script)
        async with sharing_servers(store, here, there) as (one, other):
            stream = one.images.StreamGenerate(generate(request_id="mine"))
            before = await first(stream, 2)
            redis.stop()

            for request in (generate(request_id="new"), generate()):
                error = await refused(one.images.Generate(request))
                assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
                assert error.billed == "no"
            error = await refused(first(other.images.Resume(resume(request_id="mine")), 1))
            assert error.reason == "STORE_UNAVAILABLE"
            script.go_on.set()
            events = before + await first(stream, 99)

            result = events[-1].result
            assert b"".join(event.chunk.data for event in events if event.chunk.preview_number == 0) == LARGE
            assert len(here.tasks) == 1
            assert one.app.engine.unread_images == 0
            image_id = result.images[0].image.image_id
            assert await read_image(one.images, image_id) == LARGE

            redis.start()
            await there_is(other, image_id)
            assert (await watch(other.images.Resume(resume(request_id="mine")))).images == {0: LARGE}
            assert (await one.images.Generate(generate())).images
            assert (await other.images.Generate(generate(request_id="new"))).images


async def there_is(server: Running, image_id: str) -> None:
    """Wait until a server can read an image."""
    async with asyncio.timeout(20):
        while True:
            try:
                await server.app.store.get(ANONYMOUS.name, image_id)
            except ImageError:
                await asyncio.sleep(0.01)
            else:
                return


async def found(server: Running, request_id: str) -> object:
    """Tell what a request_id stands for, if Redis can be asked."""
    try:
        return await redis_store(server.app).find(ANONYMOUS.name, request_id)
    except ImageError:
        return None


async def test_a_reader_elsewhere_hears_that_redis_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at once, but in the end; and not by UNAVAILABLE: the generation may cost something."""
    monkeypatch.setattr(elsewhere, "AWAY_SECONDS", 0.5)
    async with own_redis() as (redis, store), sharing_servers(store, *two(never)) as (one, other):
        await first(one.images.StreamGenerate(generate(request_id="mine")), 2)
        reader = other.images.Resume(resume(request_id="mine"))
        await first(reader, 2)
        redis.stop()

        error = await refused(first(reader, 99))

        assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "STORE_UNAVAILABLE")
        assert error.billed == "unknown"


async def test_a_copy_that_cannot_be_read_ends_with_an_error(redis: Callable[[], str]) -> None:
    """Whatever another version writes into a log: its readers here do not wait for ever."""
    async with sharing_servers(store_at(redis()), *two(never)) as (one, other):
        await first(one.images.StreamGenerate(generate(request_id="mine")), 2)
        reader = other.images.Resume(resume(request_id="mine"))
        before = await first(reader, 2)
        connection_ = redis_store(one.app)._connection
        key = f"{connection_.prefix}l:{before[0].started.generation_id}"
        await connection_.ask("XADD", key, "1000-1", "last", 1000, "elapsed", 1, "event", '["Nobody",{}]')

        error = await refused(first(reader, 99))

        assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR")
        assert error.billed == "unknown"


async def test_a_redis_that_restarts_empty_is_told_again() -> None:
    """What runs is written anew: a reader elsewhere goes on to the end, and the request_id is still taken."""
    script = Gated()
    async with own_redis() as (redis, store):
        here, there = two(script)
        async with sharing_servers(store, here, there) as (one, other):
            stream = one.images.StreamGenerate(generate(request_id="mine"))
            before = await first(stream, 2)
            reader = other.images.Resume(resume(request_id="mine"))
            assert [event.sequence for event in await first(reader, 2)] == [event.sequence for event in before]
            redis.stop()
            redis.start()
            async with asyncio.timeout(20):
                while await found(other, "mine") is None:  # noqa: ASYNC110 - there is no event
                    await asyncio.sleep(0.01)
            joining = asyncio.ensure_future(watch(other.images.StreamGenerate(generate(request_id="mine"))))
            script.go_on.set()

            assert (await joining).images[0] == LARGE
            rest = await first(reader, 99)
            assert rest[-1].HasField("result")
            assert (await first(stream, 99))[-1].result == rest[-1].result
            assert not there.tasks


async def test_a_full_redis_loses_no_paid_image() -> None:
    """It is kept and served by the process that has it; new work is refused before anything is spent."""
    async with own_redis("--maxmemory", "5mb") as (_, store):
        provider = ScriptedProvider(Gated(LARGE))
        provider.script.go_on.set()  # type: ignore[attr-defined]  # a Gated
        async with sharing_servers(store, provider) as (server,):
            images: list[str] = []

            async def fill() -> None:
                while True:
                    request = generate(request_id=str(len(images)), delivery={"mode": "DELIVERY_MODE_REFERENCE"})
                    images.append((await server.images.Generate(request)).images[0].image.image_id)

            error = await refused(fill())

            assert (error.reason, error.billed) == ("STORE_UNAVAILABLE", "no")
            assert len(provider.tasks) == len(images) < 12
            assert all([await read_image(server.images, image_id) == LARGE for image_id in images])


async def test_a_redis_that_hangs_holds_nobody_up() -> None:
    """It accepts and never answers: new work is refused in time, what runs ends, and afterwards all is as before."""
    script = Gated()
    with redis_server(tcp=True) as redis:
        async with TcpRelay(f"127.0.0.1:{redis.port}") as relay:
            table = store_at(f"redis://{relay.address}")
            async with sharing_servers(table, ScriptedProvider(script)) as (server,):
                stream = server.images.StreamGenerate(generate(request_id="mine"))
                await first(stream, 2)
                relay.stall()

                async with asyncio.timeout(10):
                    error = await refused(server.images.Generate(generate(request_id="new")))
                    assert error.reason == "STORE_UNAVAILABLE"
                    script.go_on.set()
                    assert (await first(stream, 99))[-1].HasField("result")
                relay.resume()
                await answers(server)
                assert (await server.images.Generate(generate(request_id="new"))).images


async def answers(server: Running) -> None:
    """Wait until the store answers again, and has taken what it did not take before: new work comes after that."""
    store = redis_store(server.app)
    async with asyncio.timeout(20):
        while not store._connection._answers or store._leftovers.names:  # noqa: ASYNC110 - flags, no event
            await asyncio.sleep(0.01)


async def test_a_draining_server_leaves_its_images_to_the_others(redis: Callable[[], str]) -> None:
    """It does not wait for images that nobody has read: they outlive it, and so do their request_ids."""
    store = store_at(redis())
    here, there = two(draw_all)
    async with sharing_servers(store, there) as (other,):
        async with sharing_servers(store, here) as (one,):
            request = generate(request_id="mine", delivery={"mode": "DELIVERY_MODE_REFERENCE"})
            image_id = (await one.images.Generate(request)).images[0].image.image_id
            assert one.app.engine.unread_images == 0

        assert await read_image(other.images, image_id) == png(8, 8)
        assert (await other.images.Generate(request)).images[0].image.image_id == image_id
        assert not there.tasks
        cancelled = await other.images.Cancel(image_service_pb2.CancelRequest(request_id="mine"))
        assert not cancelled.stopped

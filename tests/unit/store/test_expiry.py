"""The queue of what is forgotten when its time has come."""

import asyncio

from imagegen_server.store.expiry import ExpiryQueue


async def expired(queue: ExpiryQueue[str], into: list[str], number: int) -> None:
    """Wait until so many keys have expired."""
    async with asyncio.timeout(20):
        while len(into) < number:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.005)
    assert not queue._times.keys() & into


async def test_one_timer_serves_all_keys() -> None:
    """The first key sets it, the others find it, and after the last there is none."""
    into: list[str] = []
    queue = ExpiryQueue(0.03, into.append)
    queue.renew("a")
    timer = queue._timer
    queue.renew("b")
    assert queue._timer is timer

    await expired(queue, into, 2)

    assert into == ["a", "b"]
    assert queue._timer is None


async def test_a_renewed_key_waits_its_whole_time() -> None:
    """It comes after those that were not, and not before its time."""
    into: list[str] = []
    queue = ExpiryQueue(0.05, into.append)
    queue.renew("a")
    queue.renew("b")
    await asyncio.sleep(0.01)
    queue.renew("a")
    due = queue._times["a"]

    await expired(queue, into, 2)

    assert into == ["b", "a"]
    assert asyncio.get_running_loop().time() >= due


async def test_a_discarded_key_does_not_expire() -> None:
    """Nor one that never was; the timer that was its own runs on for the next ones, each of which waits its time."""
    into: list[str] = []
    queue = ExpiryQueue(0.05, into.append)
    queue.renew("a")
    queue.discard("a")
    queue.discard("nothing")
    await asyncio.sleep(0.02)
    queue.renew("b")
    due = queue._times["b"]

    await expired(queue, into, 1)

    assert into == ["b"]
    assert asyncio.get_running_loop().time() >= due
    assert queue._timer is None


async def test_nothing_expires_when_it_is_closed() -> None:
    """The timer is cancelled; a key that expires may be renewed by what is told of it."""
    into: list[str] = []

    def again(key: str) -> None:
        into.append(key)
        queue.renew(key)

    queue = ExpiryQueue(0.001, again)
    queue.renew("a")
    await expired_often(into)
    timer = queue._timer

    queue.close()

    assert timer is not None
    assert timer.cancelled()
    assert queue._timer is None


async def expired_often(into: list[str]) -> None:
    """Wait until something has expired three times."""
    async with asyncio.timeout(20):
        while len(into) < 3:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.001)

"""What supervisor and worker say to each other."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from imagegen_server.workers.link import ALIVE, BEAT_SECONDS, SERVING, Orders, WorkerLink

ORDERS = Orders(worker=2, workers=3, listen="127.0.0.1:7", allow_insecure=True)


@pytest.mark.parametrize("text", [None, "", '[aliases]\n"ä b" = "x/y"\n' * 20_000])
def test_orders_arrive_as_they_were_sent(text: str | None) -> None:
    """With the whole file of settings, lines and all."""
    orders = replace(ORDERS, config_path="a b.toml", config_text=text)
    ours, theirs = socket.socketpair()
    with ours, WorkerLink(theirs.detach()) as link, ThreadPoolExecutor() as threads:
        sending = threads.submit(ours.sendall, orders.encoded())

        assert link.orders() == orders
        sending.result()


def test_without_a_supervisor_there_are_no_orders() -> None:
    """It was killed while it sent them."""
    ours, theirs = socket.socketpair()
    with WorkerLink(theirs.detach()) as link:
        with ours:
            ours.sendall(ORDERS.encoded()[:-1])

        with pytest.raises(EOFError):
            link.orders()


@pytest.mark.parametrize("killed", [False, True])
async def test_the_end_of_the_link_is_the_order_to_stop(killed: bool) -> None:
    """Shut on purpose it still hears the worker; closed with unread words it is an end, too."""
    ours, theirs = socket.socketpair()
    with ours, WorkerLink(theirs.detach()) as link:
        link.say_serving()
        told = asyncio.create_task(link.told_to_stop())
        await asyncio.sleep(0)
        assert not told.done()

        if killed:
            ours.close()
        else:
            ours.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(told, 10)

        if not killed:
            assert ours.recv(100) == SERVING


async def test_signs_of_life_come_from_the_event_loop() -> None:
    """From when it serves on, also while it drains: a second later there is one."""
    ours, theirs = socket.socketpair()
    with ours, WorkerLink(theirs.detach()) as link:
        link.say_serving()
        ours.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(link.told_to_stop(), 10)
        reader, writer = await asyncio.open_connection(sock=ours.dup())

        assert [await asyncio.wait_for(reader.readline(), 10 * BEAT_SECONDS) for _ in range(3)] == [
            SERVING,
            ALIVE,
            ALIVE,
        ]
        writer.close()

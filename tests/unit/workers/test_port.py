"""The address that workers share, and nobody else."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from imagegen_server.workers.port import SharedPort


@contextmanager
def worker(address: str) -> Iterator[socket.socket]:
    """Listen on an address as a worker does."""
    host, _, port = address.rpartition(":")
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((host, int(port)))
        listening.listen()
        yield listening


def port_of(address: str) -> int:
    """Read the port."""
    return int(address.rpartition(":")[2])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_port_0_is_any_free_one(host: str) -> None:
    """The address is told with the real port, which can be asked for by its number afterwards."""
    with SharedPort(f"{host}:0") as port:
        address = port.address

    assert address.startswith(f"{host}:")
    assert port_of(address) > 0
    with SharedPort(address) as again:
        assert again.address == address


def test_workers_share_it_and_get_the_connections() -> None:
    """Two of them listen; whoever keeps it does not, so that no connection is lost to it."""
    with SharedPort("127.0.0.1:0") as port, worker(port.address) as one, worker(port.address) as other:
        clients = [socket.create_connection(("127.0.0.1", port_of(port.address))) for _ in range(32)]
        for listening in (one, other):
            listening.settimeout(0)
        accepted = []
        for listening in (one, other):
            try:
                while True:
                    accepted.append(listening.accept()[0])
            except BlockingIOError:
                pass
        for end in (*clients, *accepted):
            end.close()

    assert len(accepted) == len(clients)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_second_server_is_refused(workers: int) -> None:
    """Also one of the same user that would share it, with workers and before there are any."""
    with SharedPort("127.0.0.1:0") as port:
        if workers:
            with worker(port.address), pytest.raises(OSError, match=f"cannot listen on {port.address}: "):
                SharedPort(port.address)
        else:
            with pytest.raises(OSError, match=f"cannot listen on {port.address}: "):
                SharedPort(port.address)


def test_a_port_on_which_others_listen_is_refused() -> None:
    """Whoever listens there does not share it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address}: "):
            SharedPort(address)


def test_a_port_whose_connections_are_just_ending_is_free() -> None:
    """A server that is started anew does not wait for what the one before it left behind."""
    with SharedPort("127.0.0.1:0") as port, worker(port.address) as listening:
        address = port.address
        with socket.create_connection(("127.0.0.1", port_of(address))):
            listening.accept()[0].close()  # who closes first is left with the rest

    with SharedPort(address) as again:
        assert again.address == address


def test_an_address_of_another_machine_is_refused() -> None:
    """The message names it."""
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:0: "):
        SharedPort("192.0.2.1:0")

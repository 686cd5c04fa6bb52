"""An exchange that failed holds nothing of what it received."""

import gc

import pytest
from imagegen_server.domain.errors import ImageError

from tests.support.http_server import ENGINES, Exchange, HttpServer, client_of

_LENGTH = 3_000_000


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("reset", [True, False])
async def test_a_broken_answer_leaves_no_bytes_to_the_collector(engine: str, reset: bool) -> None:
    """The engine's own record of the fault does not keep pieces of the body through the frames that it came through."""

    async def break_off(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {_LENGTH * 2}\r\n\r\n".encode()
        await exchange.send(head + bytes(_LENGTH))
        exchange.reset() if reset else exchange.hang_up()

    async def call() -> None:
        async with client.get("x", {}) as answer:
            async for _ in answer.chunks():
                pass

    async with HttpServer(break_off) as server, client_of(server.url, engine=engine) as client:
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(3):
                with pytest.raises(ImageError) as caught:
                    await call()
                caught.value.__traceback__ = None
                del caught
            gc.collect()
            held = [len(item) for item in gc.get_referents(*gc.garbage) if isinstance(item, bytes | bytearray)]
            assert not [length for length in held if length >= 10_000]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

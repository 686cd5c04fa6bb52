from fake_server import FakeServer, picture, whole_stream, play
from imagegen import AsyncClient, Client
import time

async def test_generate(server: FakeServer, client: AsyncClient) -> None:
    """x"""
    r = await client.generate("sandbox/scene", "x", seed=3, params={"sandbox": {"a": [1, {"b": None}]}})
    assert r.image.bytes == picture()
    print(server.last, r)

async def test_big(server: FakeServer, client: AsyncClient) -> None:
    """x"""
    data = picture(64 * 1024 * 1024)
    server.stream = play(*whole_stream(data))
    t = time.perf_counter()
    r = await client.generate("sandbox/scene", "x")
    print(time.perf_counter() - t)
    assert r.image.bytes == data

def test_sync(thread_server: FakeServer, sync_client: Client) -> None:
    """x"""
    for i in range(200):
        assert sync_client.generate("a/b", "x").image.bytes == picture()
    with sync_client.stream("a/b", "x") as s:
        print(list(s), s.result())

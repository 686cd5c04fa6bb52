"""The Python client and the real server: lines that break, generations that outlive their readers."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from imagegen import AsyncClient, CallSettings, Client, Complete, Image, ImageGenError, Preview, Reason, Started
from imagegen_server.domain.events import Complete as ProviderComplete
from imagegen_server.domain.events import Preview as ProviderPreview
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.pictures import noisy_png, png
from tests.support.provider import Script, ScriptedProvider
from tests.support.server import as_config, nothing_left, running_server
from tests.support.tcp_relay import TcpRelay

MODEL = "scripted/model"
SCENE = "sandbox/scene"
EARLY = png(16, 16)
# No PNG reader looks behind the last chunk, so this is a picture of several chunks that costs nothing to make.
LARGE = png(16, 16, shade=1) + bytes(range(256)) * 2500


async def draw(_task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """A preview, then a picture of several chunks."""
    call.accepted("")
    yield ProviderPreview(0, EARLY)
    yield ProviderComplete(0, LARGE)


def waiting(go_on: asyncio.Event) -> Script:
    """A preview at once, the picture when the test says so."""

    async def script(_task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        yield ProviderPreview(0, EARLY)
        await go_on.wait()
        yield ProviderComplete(0, LARGE)

    return script


@pytest.mark.parametrize("size", [1, 100, 1000, 5_000, 150_000, 250_000, 450_000, 640_000])
async def test_line_that_is_cut_at_a_byte(size: int) -> None:
    """Wherever TCP breaks, before, in the middle of and after images, the bytes are those and it was bought once."""
    provider = ScriptedProvider(draw)
    async with (
        running_server(as_config("scripted", provider)) as server,
        TcpRelay(server.address) as relay,
        AsyncClient(relay.address, timeout=30) as client,
    ):
        relay.cut_after(size)
        async with client.stream(MODEL, "a cat", resumable=True) as stream:
            kinds = [type(event) async for event in stream if isinstance(event, Started | Complete)]
            whole = await stream.result()

        assert relay.cuts == 1
        assert kinds == [Started, Complete]
        assert whole.image.bytes == LARGE
        assert len(provider.tasks) == 1


async def test_line_that_is_cut_again_and_again() -> None:
    """Each connection carries a chunk or two, and the picture is put together from all of them."""
    provider = ScriptedProvider(draw)
    async with (
        running_server(as_config("scripted", provider)) as server,
        TcpRelay(server.address) as relay,
        AsyncClient(relay.address, timeout=30) as client,
    ):

        async def cut() -> None:
            for accepted in range(1, 4):
                while relay.accepted < accepted:  # noqa: ASYNC110 - a counter, no event
                    await asyncio.sleep(0.001)
                relay.cut_after(250_000)

        cutting = asyncio.create_task(cut())
        whole = await client.generate(MODEL, "a cat", resumable=True)
        cutting.cancel()

        assert relay.cuts >= 2
        assert whole.image.bytes == LARGE
        assert len(provider.tasks) == 1


async def test_cut_while_the_provider_works() -> None:
    """A generation whose only reader is cut off goes on, and the reader finds it again, waiting as before."""
    go_on = asyncio.Event()
    provider = ScriptedProvider(waiting(go_on))
    async with (
        running_server(as_config("scripted", provider)) as server,
        TcpRelay(server.address) as relay,
        AsyncClient(relay.address, timeout=30) as client,
        client.stream(MODEL, "a cat", resumable=True) as stream,
    ):
        async for event in stream:
            if isinstance(event, Preview):
                break
        relay.cut()
        result = asyncio.create_task(stream.result())
        while relay.accepted < 2:  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(0.001)
        go_on.set()

        assert (await result).image.bytes == LARGE
        assert len(provider.tasks) == 1


async def shown(client: AsyncClient, settings: CallSettings) -> None:
    """Watch a generation to its preview, and leave it."""
    async with client.stream(MODEL, "a cat", **settings) as stream:
        async for event in stream:
            if isinstance(event, Preview):
                return


@pytest.mark.parametrize(
    "settings",
    [{"resumable": True}, {"request_id": "mine"}, {"on_disconnect": "detach"}, {}],
    ids=["resumable", "request_id", "detach", "plain"],
)
async def test_abort_reaches_the_provider(settings: CallSettings) -> None:
    """abort() stops the spending, whatever leaving would have meant, and nothing is left of it."""
    provider = ScriptedProvider(waiting(asyncio.Event()))
    async with running_server(as_config("scripted", provider)) as server, AsyncClient(server.address) as client:
        stream = client.stream(MODEL, "a cat", **settings)
        await anext(stream)
        async for event in stream:
            if isinstance(event, Preview):
                break
        await stream.abort()

        async with asyncio.timeout(10):
            await provider.closed.wait()
        await nothing_left(server)


@pytest.mark.parametrize("settings", [{"resumable": True}, {}], ids=["resumable", "plain"])
async def test_leaving_what_nobody_can_name_reaches_the_provider(settings: CallSettings) -> None:
    """The end of the block stops it."""
    provider = ScriptedProvider(waiting(asyncio.Event()))
    async with running_server(as_config("scripted", provider)) as server, AsyncClient(server.address) as client:
        await shown(client, settings)
        async with asyncio.timeout(10):
            await provider.closed.wait()
        await nothing_left(server)


@pytest.mark.parametrize(
    "settings", [{"request_id": "mine"}, {"on_disconnect": "detach", "resumable": True}], ids=["request_id", "detach"]
)
async def test_what_is_left_running_is_found_again(settings: CallSettings) -> None:
    """Another client reads it from the start, by either id, and it was bought once."""
    go_on = asyncio.Event()
    provider = ScriptedProvider(waiting(go_on))
    async with running_server(as_config("scripted", provider)) as server:
        async with AsyncClient(server.address) as client:
            stream = client.stream(MODEL, "a cat", **settings)
            await anext(stream)
            handles = (stream.generation_id, stream.request_id)
            await stream.aclose()
        async with AsyncClient(server.address) as client:
            reading = asyncio.create_task(client.resume(handles[0]).result())
            go_on.set()
            assert (await reading).image.bytes == LARGE
            assert (await client.resume(request_id=handles[1]).result()).image.bytes == LARGE
            last = client.resume(handles[0], after_sequence=3)
            assert (await last.result()).image.image_id

    assert len(provider.tasks) == 1


async def test_same_wish_twice_at_once() -> None:
    """Two calls under one request_id are one purchase, and a third one later replays it."""
    go_on = asyncio.Event()
    provider = ScriptedProvider(waiting(go_on))
    async with running_server(as_config("scripted", provider)) as server, AsyncClient(server.address) as client:
        calls = [asyncio.create_task(client.generate(MODEL, "a cat", request_id="mine")) for _ in range(2)]
        go_on.set()
        first, second = await asyncio.gather(*calls)
        third = await client.generate(MODEL, "a cat", request_id="mine")

        assert first.generation_id == second.generation_id == third.generation_id
        assert first.image.bytes == second.image.bytes == third.image.bytes == LARGE
        assert len(provider.tasks) == 1
        with pytest.raises(ImageGenError) as caught:
            await client.generate(MODEL, "a dog", request_id="mine")
        assert caught.value.reason == Reason.REQUEST_ID_REUSED


async def test_cancel_from_elsewhere() -> None:
    """Who has the id stops a generation; its reader is told, and a second Cancel finds it ended."""
    provider = ScriptedProvider(waiting(asyncio.Event()))
    async with running_server(as_config("scripted", provider)) as server, AsyncClient(server.address) as client:
        stream = client.stream(MODEL, "a cat", request_id="mine", resumable=True)
        await anext(stream)

        assert await client.cancel(request_id="mine") is True
        with pytest.raises(ImageGenError) as caught:
            await stream.result()
        assert caught.value.reason == Reason.CANCELLED
        assert await client.cancel(stream.generation_id) is False
        with pytest.raises(ImageGenError) as unknown:
            await client.cancel(request_id="another")
        assert unknown.value.reason == Reason.GENERATION_NOT_FOUND


async def test_server_that_was_started_anew() -> None:
    """A resumable stream whose server forgot the generation ends with that, and buys nothing there."""
    async with running_server(as_config("scripted", ScriptedProvider(draw))) as old, AsyncClient(old.address) as client:
        generation_id = (await client.generate(MODEL, "a cat")).generation_id
    provider = ScriptedProvider(draw)
    async with running_server(as_config("scripted", provider)) as new, AsyncClient(new.address) as client:
        with pytest.raises(ImageGenError) as caught:
            await client.resume(generation_id).result()

    assert caught.value.reason in {Reason.WRONG_INSTANCE, Reason.GENERATION_NOT_FOUND}
    assert provider.tasks == []


async def test_uploaded_image_in_edits() -> None:
    """An image of several pieces is sent once, and edits take it by its id; a second upload sends nothing."""
    async with running_server(sandbox=True) as server, AsyncClient(server.address) as client:
        model = client.image(SCENE, seed=7, size=(64, 48))
        image = Image.from_bytes(noisy_png(900, 700))
        uploaded = await client.upload(image)
        again = await client.upload(image)
        by_id = await model.edit("fog", image=uploaded)
        by_bytes = await model.edit("fog", image=image)

        assert image.size_bytes > 1_500_000
        assert (uploaded.has_bytes, uploaded.width, uploaded.sha256) == (False, 900, image.sha256)
        assert again.image_id == uploaded.image_id
        assert by_id.image.bytes == by_bytes.image.bytes
        assert (await client.read(uploaded)).bytes == image.bytes


async def test_explain() -> None:
    """What would be drawn is told, with images as hashes, and nothing is drawn."""
    provider = ScriptedProvider(draw)
    async with (
        running_server(as_config("scripted", provider), sandbox=True) as server,
        AsyncClient(server.address) as client,
    ):
        image = Image.from_bytes(EARLY)
        [drawn, fallback] = await client.explain(SCENE, "a cat", fallback_models=[MODEL])
        [changed] = await client.explain_edit(SCENE, "fog", image=image)

    assert (drawn.model, drawn.requests, fallback.model) == (SCENE, 1, MODEL)
    assert image.sha256 in changed.body
    assert provider.tasks == []


async def test_synchronous_client_in_a_thread() -> None:
    """The thin face resumes too."""

    def use(address: str, direct: str) -> bytes:
        with Client(address, timeout=30) as client:
            whole = client.generate(MODEL, "a cat", resumable=True)
        with Client(direct) as client:
            assert client.resume(whole.generation_id).result().image.bytes == whole.image.bytes
            assert client.cancel(whole.generation_id) is False
        return whole.image.bytes

    async with (
        running_server(as_config("scripted", ScriptedProvider(draw))) as server,
        TcpRelay(server.address) as relay,
    ):
        relay.cut_after(300_000)
        assert await asyncio.to_thread(use, relay.address, server.address) == LARGE
        assert relay.cuts == 1

"""Streams that break and are read on: nothing is lost, nothing is bought twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from imagegen import (
    AsyncClient,
    AsyncImageStream,
    Complete,
    Failed,
    ImageGenError,
    ImageResult,
    Preview,
    Progress,
    Reason,
    Started,
    _backoff,
)
from imagegen.v1 import image_pb2, image_service_pb2

from tests.support.tcp_relay import TcpRelay
from tests.unit.client.fake_log import LARGE, SMALL, Break, FakeLog, broken, long_log, numbered, silent
from tests.unit.client.fake_server import (
    Context,
    Event,
    FakeServer,
    Wish,
    complete,
    error_info,
    opening,
    picture,
    preview,
    result,
    started,
    status_trailer,
)

MODEL = "sandbox/scene"
LENGTH = len(long_log())


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "DELAYS", (0.001,) * 7)


async def watched(stream: AsyncImageStream) -> tuple[list[str], ImageResult]:
    """What a reader saw, news apart, and the result."""
    async with stream:
        kinds = [type(event).__name__ async for event in stream if not isinstance(event, Progress)]
        return kinds, await stream.result()


def check(kinds: list[str], whole: ImageResult) -> None:
    """Everything that the long log has came once, in order, byte for byte."""
    assert kinds == [kind.__name__ for kind in (Started, Preview, Preview, Complete, Complete, Failed)]
    assert [image.bytes for image in whole.images] == [LARGE, SMALL]
    assert [failed.index for failed in whole.failures] == [2]


@pytest.mark.parametrize(
    "end",
    [
        *(
            pytest.param(broken(code), id=code.name)
            for code in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.INTERNAL,
                grpc.StatusCode.CANCELLED,
                grpc.StatusCode.UNKNOWN,
            )
        ),
        pytest.param(silent, id="OK"),
    ],
)
async def test_a_break_anywhere_is_not_seen(server: FakeServer, client: AsyncClient, end: Break) -> None:
    """Wherever a stream breaks, before, between and amid images, the reader gets the same, and it is bought once."""
    for at in range(LENGTH):
        log = FakeLog(server, long_log(), [at], end)

        check(*await watched(client.stream(MODEL, "a cat", resumable=True)))

        assert log.purchases == 1
        # Nothing received: the same request again. Else on from the last sequence.
        assert log.resumed_after == ([] if at == 0 else [log.events[at - 1].sequence])


async def test_breaks_after_every_event(server: FakeServer, client: AsyncClient) -> None:
    """A line that carries one event at a time is slow, and no more: each event renews the patience."""
    log = FakeLog(server, [event for event in long_log() if not event.HasField("progress")], [1] * (LENGTH - 3))

    check(*await watched(client.stream(MODEL, "a cat", resumable=True)))

    assert log.purchases == 1
    assert log.resumed_after == list(range(1, LENGTH - 2))


@pytest.mark.parametrize("at", range(LENGTH))
async def test_connection_reset_anywhere(server: FakeServer, at: int) -> None:
    """The same with a TCP connection that is reset under the stream, while the generation runs on."""

    async def hang(_context: Context) -> None:
        await server.hang()

    log = FakeLog(server, long_log(), [at], hang)
    async with TcpRelay(server.address) as relay, AsyncClient(relay.address, timeout=30) as client:
        reading = asyncio.create_task(watched(client.stream(MODEL, "a cat", resumable=True)))
        await log.reached.wait()
        relay.cut()
        check(*await reading)

        assert log.purchases == 1
        assert relay.accepted > 1


async def test_generate_and_edit_survive(server: FakeServer, client: AsyncClient) -> None:
    """The forms that only wait read on too, with the same delivery as before."""
    log = FakeLog(server, long_log(), [6])
    assert (await client.generate(MODEL, "a cat", resumable=True)).image.bytes == LARGE

    log = FakeLog(server, long_log(), [6])
    assert (await client.edit(MODEL, "a cat", resumable=True)).image.bytes == LARGE
    assert log.purchases == 1
    resumed: image_service_pb2.ResumeRequest = server.last.request  # type: ignore[assignment]
    assert resumed.delivery.mode == image_pb2.DELIVERY_MODE_INLINE
    assert resumed.generation_id == "gen_1"


async def test_by_reference(server: FakeServer, client: AsyncClient) -> None:
    """A stream without chunks is resumed without chunks."""
    log = FakeLog(server, numbered([started(), opening(LARGE), result(LARGE)]), [2])

    whole = await client.generate(MODEL, "a cat", resumable=True, delivery="reference")

    assert (whole.image.has_bytes, whole.image.size_bytes) == (False, len(LARGE))
    assert log.resumed_after == [2]
    assert server.last.request.delivery.mode == image_pb2.DELIVERY_MODE_REFERENCE  # type: ignore[attr-defined]


async def test_preview_that_is_not_sent_again_is_a_gap(server: FakeServer, client: AsyncClient) -> None:
    """A server that drops the rest of a preview after a break costs the preview only."""
    early = picture(500_000, salt=2)
    log = FakeLog(server, numbered([started(), *preview(early), *complete(LARGE), result(LARGE)]), [3])
    stream = client.stream(MODEL, "a cat", resumable=True)
    events = [await anext(stream)]
    log.events = [event for event in log.events if event.sequence in {1, 2, 3} or event.sequence > 5]

    events += [event async for event in stream]

    assert [type(event) for event in events] == [Started, Complete]
    assert (await stream.result()).image.bytes == LARGE


async def test_bytes_are_checked_over_a_break(server: FakeServer, client: AsyncClient) -> None:
    """An image put together from two connections has its SHA-256 checked like any other, and is paid for no longer."""
    log = FakeLog(server, numbered([started(), *complete(LARGE), result(LARGE)]), [3])
    stream = client.stream(MODEL, "a cat", resumable=True)
    await anext(stream)
    log.events[3].chunk.data = bytes(len(log.events[3].chunk.data))

    with pytest.raises(ImageGenError, match="SHA-256"):
        await stream.result()
    assert (await server.saw("Cancel")).generation_id == "gen_1"


async def test_without_resumable_a_break_is_an_error(server: FakeServer, client: AsyncClient) -> None:
    """Nobody resumes, or buys again, who did not ask for it; the error has the ids to do so."""
    log = FakeLog(server, long_log(), [4])

    with pytest.raises(ImageGenError, match="broke") as caught:
        await client.generate(MODEL, "a cat", request_id="mine")

    assert (caught.value.reason, caught.value.generation_id, caught.value.request_id) == (
        Reason.NETWORK_ERROR,
        "gen_1",
        "req_1",
    )
    assert (log.purchases, log.resumed_after, server.called("Cancel")) == (1, [], [])


@pytest.mark.parametrize("reason", ["GENERATION_NOT_FOUND", "WRONG_INSTANCE", "RESULT_EXPIRED", "PROVIDER_ERROR"])
async def test_what_the_server_says_is_final(server: FakeServer, client: AsyncClient, reason: str) -> None:
    """A reason is an end: to a resume as to a start."""
    log = FakeLog(server, long_log(), [3])
    code = grpc.StatusCode.UNAVAILABLE

    async def refuse(_request: Any, context: Context) -> AsyncIterator[Event]:
        await context.abort(code, "no", (status_trailer(code, "no", error_info(reason, billed="no")),))
        yield started()

    server.resume = refuse
    with pytest.raises(ImageGenError) as resumed:
        await client.generate(MODEL, "a cat", request_id="mine", resumable=True)
    resumes = len(server.called("Resume"))
    server.stream = refuse
    with pytest.raises(ImageGenError) as begun:
        await client.generate(MODEL, "a cat", request_id="mine", resumable=True)

    assert (resumed.value.reason, begun.value.reason) == (reason, reason)
    assert resumed.value.generation_id == "gen_1"
    assert (log.purchases, len(server.called("StreamGenerate"))) == (1, 2)
    # UNAVAILABLE without a stream begun is tried again by the channel: that is free, and not this module's doing.
    assert 1 <= resumes <= 4


async def test_a_busy_server_is_asked_to_resume_again(server: FakeServer, client: AsyncClient) -> None:
    """It has no place for a reader at the moment: that says nothing of the generation, which goes on."""
    log = FakeLog(server, long_log(), [3])
    read_on, refused = log._resume, 0

    async def refuse_twice(request: Any, context: Context) -> AsyncIterator[Event]:
        nonlocal refused
        if refused < 2:
            refused += 1
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            trailer = status_trailer(code, "full", error_info("SERVER_BUSY", billed="no"))
            await context.abort(code, "full", (trailer,))
        async for event in read_on(request, context):
            yield event

    server.resume = refuse_twice
    made = await client.generate(MODEL, "a cat", resumable=True)

    assert (len(made.images), log.purchases, refused) == (2, 1, 2)


async def test_a_line_that_stays_broken_is_an_error(server: FakeServer, client: AsyncClient) -> None:
    """After a few tries in vain it ends, with the ids by which it can be resumed; it is not stopped."""
    FakeLog(server, long_log(), [3, *[0] * 100], broken(grpc.StatusCode.INTERNAL))

    with pytest.raises(ImageGenError, match="broke") as caught:
        await client.generate(MODEL, "a cat", resumable=True)

    assert len(server.called("Resume")) == len(_backoff.DELAYS)
    assert caught.value.generation_id == "gen_1"
    assert server.called("Cancel") == []


async def test_the_deadline_covers_all_tries(
    server: FakeServer, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of the time is what a resume gets; with none left it is TIMEOUT."""
    monkeypatch.setattr(_backoff, "DELAYS", (0.4,) * 100)
    FakeLog(server, long_log(), [3, *[0] * 100], broken(grpc.StatusCode.INTERNAL))

    with pytest.raises(ImageGenError) as caught:
        await client.generate(MODEL, "a cat", resumable=True, timeout=1)

    assert caught.value.reason == Reason.TIMEOUT
    left = [call.time_remaining for call in server.calls if call.method == "Resume"]
    assert left
    assert all(seconds is not None and seconds < 0.9 for seconds in left)


async def test_id_in_the_metadata_is_enough_to_resume(server: FakeServer, client: AsyncClient) -> None:
    """A generation that is known by its metadata is resumed, not asked for again: another replica would buy it."""
    log = FakeLog(server, long_log(), [])

    async def script(request: Wish, context: Context) -> AsyncIterator[Event]:
        log.bought.add(request.request_id)
        await context.send_initial_metadata((("imagegen-generation-id", "gen_1"),))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "broke")
        yield started()

    server.stream = script
    check(*await watched(client.stream(MODEL, "a cat", resumable=True)))

    assert (log.purchases, log.resumed_after, len(server.called("StreamGenerate"))) == (1, [0], 1)


async def test_server_that_is_not_there_yet(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no connection can be made at first, the same request is sent again."""
    monkeypatch.setattr(_backoff, "DELAYS", (0.2,) * 100)
    log = FakeLog(server, long_log(), [])
    async with TcpRelay(server.address) as relay, AsyncClient(relay.address, timeout=30) as client:
        relay.refuse()
        reading = asyncio.create_task(watched(client.stream(MODEL, "a cat", resumable=True)))
        async with asyncio.timeout(10):
            while relay.accepted < 1:  # noqa: ASYNC110 - a counter, no event
                await asyncio.sleep(0.001)
        relay.accept()
        check(*await reading)

    assert log.purchases == 1


async def test_result_stands_when_the_line_breaks_after_it(server: FakeServer, client: AsyncClient) -> None:
    """What is complete is not read again."""
    log = FakeLog(server, long_log(), [LENGTH])

    check(*await watched(client.stream(MODEL, "a cat", resumable=True)))

    assert log.resumed_after == []


async def test_a_server_that_is_gone_may_have_spent() -> None:
    """That no connection comes about any more says nothing of the money that the call before it may have spent."""

    async def hanging(_wish: Wish, _context: Context) -> AsyncIterator[Event]:
        await server.hang()
        yield started()

    async with FakeServer() as server, TcpRelay(server.address) as relay, AsyncClient(relay.address) as client:
        server.stream = hanging
        stream = client.stream(MODEL, "a harbour", resumable=True)
        await server.saw("StreamGenerate")
        relay.refuse()
        relay.cut()
        with pytest.raises(ImageGenError) as caught:
            await stream.result()

    assert (caught.value.reason, caught.value.billed) == (Reason.NETWORK_ERROR, "unknown")


async def test_a_server_that_was_never_there_has_spent_nothing() -> None:
    """However often it was tried."""
    async with TcpRelay("127.0.0.1:1") as relay:
        address = relay.address
    async with AsyncClient(address) as client:
        with pytest.raises(ImageGenError) as caught:
            await client.generate(MODEL, "a harbour", resumable=True)

    assert (caught.value.reason, caught.value.billed) == (Reason.NETWORK_ERROR, "no")

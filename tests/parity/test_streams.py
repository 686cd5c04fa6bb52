"""What a streamed generation shows, and how it ends."""

import asyncio
import base64

import grpc
import pytest
from imagegen import AsyncClient, Preview

from tests.parity.service import MODEL, PATIENCE, WIRE, change, draw, openai_service, recorded, watch_recorded
from tests.support.calls import Seen, refusal, watch
from tests.support.vendor import event_answer


@pytest.mark.parametrize("name", ["stream_two_partials", "stream_edit"])
async def test_previews_image_usage_and_what_was_decided_come_through(name: str) -> None:
    """Everything that the vendor's drawing and editing events say at their top level reaches the reader."""
    fixture = WIRE[name]
    said = [event["data"] for event in fixture.content["events"]]
    pictures = [base64.b64decode(data["b64_json"]) for data in said]
    async with openai_service() as service:
        seen = await watch_recorded(service, name)

    assert [data for _, _, data in seen.previews] == pictures[:-1]
    assert seen.images == {0: pictures[-1]}
    usage = said[-1]["usage"]
    assert seen.result.usage.input_tokens == usage["input_tokens"]
    assert seen.result.usage.output_tokens == usage["output_tokens"]
    decided = seen.result.images[0].metadata["openai"]
    for key in ("size", "quality", "output_format"):
        assert decided[key] == said[-1][key]


@pytest.mark.parametrize(
    "name",
    [
        "stream_error_event",
        "stream_error_type",
        "stream_error_member",
        "stream_error_flat",
        "stream_rate_limit",
        "stream_quota",
        "stream_moderation",
    ],
)
async def test_an_error_inside_a_stream_ends_the_call_with_its_reason(name: str) -> None:
    """However the vendor writes an error after HTTP 200, the call fails with what it means; previews stay shown."""
    expect, seen = WIRE[name].expect, Seen()
    async with openai_service() as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch_recorded(service, name, seen)

    told = refusal(caught.value)
    assert (told.reason, told.billed) == (expect["reason"], expect["billed"])
    assert told.metadata["provider_code"] == expect["provider_code"]
    assert len(seen.previews) == expect["previews"]
    assert "complete" not in seen.kinds
    assert "result" not in seen.kinds


@pytest.mark.parametrize(
    "name",
    [
        "stream_empty",
        "stream_truncated",
        "stream_truncated_in_event",
        "stream_broken_off",
        "stream_done_marker_alone",
        "stream_completed_without_image",
    ],
)
async def test_a_stream_without_its_finished_image_is_an_error(name: str) -> None:
    """A stream that ends before the picture is done fails; the last preview is never handed out as the picture."""
    expect, seen = WIRE[name].expect, Seen()
    async with openai_service() as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch_recorded(service, name, seen)

    assert refusal(caught.value).reason == expect["reason"]
    assert len(seen.previews) == expect["previews"]
    assert seen.images == {}
    assert "complete" not in seen.kinds
    assert "result" not in seen.kinds


async def test_a_malformed_event_is_the_providers_fault() -> None:
    """An event that cannot be read is told as the reason when the picture does not come."""
    async with openai_service() as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch_recorded(service, "stream_no_json")

    told = refusal(caught.value)
    assert told.reason == "INVALID_RESPONSE"
    assert "malformed" in told.message
    assert told.metadata["provider"] == "openai"


@pytest.mark.parametrize(
    "name", ["stream_no_space", "stream_unfinished_line", "stream_crlf", "stream_cr", "stream_lines"]
)
async def test_events_are_read_as_the_standard_writes_them(name: str) -> None:
    """Line ends of all three kinds, no space after the colon, data on several lines, no newline at the very end."""
    async with openai_service() as service:
        seen = await watch_recorded(service, name)

    assert list(seen.images) == [0]
    assert len(seen.previews) == WIRE[name].expect["previews"]


async def test_a_last_line_without_newline_counts() -> None:
    """A stream that ends right after the last character of its last event has told that event."""
    *first, last = WIRE["stream_two_partials"].pieces
    async with openai_service() as service:
        service.fake.answer_next(event_answer(*first, last.rstrip(b"\n")))
        seen = await watch(service.server.images.StreamGenerate(draw()))

    assert list(seen.images) == [0]


async def test_a_unary_call_is_its_stream_read_to_the_end() -> None:
    """Generate and Edit answer what the last event of their streams says, and the bytes beside it."""
    async with openai_service() as service:
        images = service.server.images
        options = {"previewCount": 0}
        for whole, seen in (
            (await images.Generate(draw()), await watch(images.StreamGenerate(draw(options=options)))),
            (await images.Edit(change()), await watch(images.StreamEdit(change(options=options)))),
        ):
            assert [image.image.data for image in whole.images] == list(seen.images.values())
            assert [image.image.sha256 for image in whole.images] == [i.image.sha256 for i in seen.result.images]
            assert whole.usage == seen.result.usage
            assert whole.usage.output_tokens > 0


async def test_the_result_comes_without_reading_events() -> None:
    """A generation runs by itself: nobody reads an event, the vendor is asked, and the result is there."""
    async with openai_service() as service, AsyncClient(service.server.address) as client:
        answer = recorded("stream_two_partials")
        service.fake.answer_next(answer)
        stream = client.stream(MODEL, "a boat")
        async with asyncio.timeout(PATIENCE):
            await answer.asked.wait()
            result = await stream.result()

    assert result.image.bytes


async def test_a_second_reader_reads_the_same_generation() -> None:
    """Events and result may be read one after the other and again: the vendor is asked once."""
    async with openai_service() as service, AsyncClient(service.server.address) as client:
        stream = client.stream(MODEL, "a boat")
        first = await stream.result()
        events = [event async for event in stream]
        again = [event async for event in stream]

        assert await stream.result() is first
        assert sum(isinstance(event, Preview) for event in events) == 2
        assert again == []
        assert len(service.fake.requests) == 1

"""What failures are called, and what arrives of them."""

from collections.abc import AsyncGenerator

import grpc
import pytest
from imagegen import AsyncClient, ImageGenError
from imagegen.v1 import error_reason_pb2
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.task import Operation, Options, Task, Wish
from imagegen_server.providers.base import Call

from tests.parity.service import MODEL, WIRE, change, draw, openai_service, recorded
from tests.support.calls import Refusal, generate, refusal, watch
from tests.support.google_provider import MODEL as GOOGLE_MODEL
from tests.support.google_provider import google_workshop
from tests.support.imagegen_provider import far_at
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server
from tests.support.vendor import json_answer


async def refused(name: str) -> tuple[Refusal, int]:
    """Have the vendor give a recorded answer to a unary call; tell the error, and how often the vendor was asked."""
    async with openai_service() as service:
        service.fake.answer_next(recorded(name))
        images = service.server.images
        edits = WIRE[name].operation.endswith("edit")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (images.Edit(change()) if edits else images.Generate(draw()))
        return refusal(caught.value), len(service.fake.requests)


@pytest.mark.parametrize(
    "name",
    [
        "moderation_blocked",
        "moderation_blocked_output",
        "content_policy_violation",
        "insufficient_quota",
        "quota_type_alone",
        "quota_with_retry_after",
        "billing_hard_limit_reached",
        "model_not_found_400",
        "prompt_too_long",
        "error_under_200",
    ],
)
async def test_the_body_decides_before_the_status(name: str) -> None:
    """The vendor's own code or type names the reason, whatever HTTP status it came with; nothing is sent again."""
    told, asked = await refused(name)

    expect = WIRE[name].expect
    assert told.reason == expect["reason"]
    assert told.metadata["provider_code"] == expect["provider_code"]
    assert told.metadata.get("stage", "") == expect.get("stage", "")
    assert told.retry_delay is None
    assert asked == 1


async def test_too_large_a_body_is_more_than_the_model_takes() -> None:
    """HTTP 413 without words is CONTEXT_LENGTH_EXCEEDED, which speaks of prompts and images alike, and is free."""
    told, _ = await refused("payload_too_large")

    assert (told.reason, told.metadata["http_status"], told.billed) == ("CONTEXT_LENGTH_EXCEEDED", "413", "no")


@pytest.mark.parametrize("name", ["json_no_images", "json_image_empty", "json_url", "json_not_an_image", "empty_body"])
async def test_an_answer_without_an_image_is_an_error(name: str) -> None:
    """No answer of the vendor becomes a success without pictures, or a picture without bytes."""
    told, _ = await refused(name)

    assert told.reason == "INVALID_RESPONSE"
    assert told.message


async def test_an_image_that_is_missing_is_a_failure_with_its_index() -> None:
    """Of two pictures one comes and the other is told as a failure of its own."""
    async with openai_service() as service:
        service.fake.answer_next(recorded("json_fewer_images"))
        result = await service.server.images.Generate(draw(options={"count": 2}))

    assert [(image.index, bool(image.image.data)) for image in result.images] == [(0, True)]
    assert [(f.index, f.reason) for f in result.failures] == [(1, error_reason_pb2.ERROR_REASON_INVALID_RESPONSE)]


async def test_an_image_that_moderation_refused_is_a_failure_beside_the_others() -> None:
    """One of two pictures is refused: the other is handed out, and the refusal says so under its index."""
    async with openai_service() as service:
        service.fake.answer_next(recorded("stream_moderation"))
        seen = await watch(service.server.images.StreamGenerate(draw(options={"count": 2})))

    (image,), (failure,) = seen.result.images, seen.result.failures
    assert {image.index, failure.index} == {0, 1}
    assert failure.reason == error_reason_pb2.ERROR_REASON_CONTENT_FILTERED
    assert list(seen.images) == [image.index]


async def test_all_images_refused_by_moderation_is_that_error() -> None:
    """When no picture passes moderation the call is CONTENT_FILTERED, with one failure for each picture."""
    async with openai_service() as service:
        service.fake.answer_next(recorded("stream_moderation"), recorded("stream_moderation"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch(service.server.images.StreamGenerate(draw(options={"count": 2})))

    told = refusal(caught.value)
    assert told.reason == "CONTENT_FILTERED"
    assert told.failure is not None
    assert [failure.index for failure in told.failure.failures] == [0, 1]


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_error_crosses_the_wire_whole(streaming: bool) -> None:
    """Code, provider, model, the vendor's own words and its wait arrive as google.rpc details, by either form."""
    async with openai_service() as service:
        service.fake.answer_next(recorded("rate_limit_seconds"))
        images = service.server.images
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (watch(images.StreamGenerate(draw())) if streaming else images.Generate(draw()))

    told = refusal(caught.value)
    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert (told.metadata["provider"], told.metadata["model"]) == ("openai", MODEL)
    assert (told.metadata["http_status"], told.metadata["provider_code"]) == ("429", "rate_limit_exceeded")
    assert told.metadata["provider_request_id"]
    assert told.retry_delay == 20


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_error_crosses_another_server_whole(streaming: bool) -> None:
    """The same through a server that has this one as its provider; origin and model are named from where one asks."""
    async with openai_service() as service, running_server(far_at(service.server.address)) as near:
        service.fake.answer_next(recorded("rate_limit_seconds"))
        asked = draw()
        asked.model = f"far/{MODEL}"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (watch(near.images.StreamGenerate(asked)) if streaming else near.images.Generate(asked))

    told = refusal(caught.value)
    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert (told.metadata["provider"], told.metadata["model"]) == ("far/openai", f"far/{MODEL}")
    assert (told.metadata["http_status"], told.metadata["provider_code"]) == ("429", "rate_limit_exceeded")
    assert told.metadata["provider_request_id"]
    assert told.retry_delay == 20


@pytest.mark.parametrize(
    "name",
    [
        "rate_limit_seconds",
        "rate_limit_milliseconds",
        "rate_limit_in_words",
        "rate_limit_html",
        "rate_limit_silent",
        "overloaded_503",
    ],
)
async def test_a_known_wait_is_told(name: str) -> None:
    """A wait that the vendor tells in a header or in words is the error's own; one that nobody told is absent."""
    async with openai_service() as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(recorded(name))
        with pytest.raises(ImageGenError) as caught:
            await client.generate(MODEL, "a boat")

    expect = WIRE[name].expect
    assert caught.value.reason == expect["reason"]
    assert caught.value.retry_delay == pytest.approx(expect["retry_after"])


async def test_no_reason_is_lost_on_the_way() -> None:
    """Whatever reason a provider gives is the one that the caller reads, as its own name and never as another."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        raise ImageError(Reason[task.prompt], "as the test says")
        yield

    read = []
    async with running_server(as_config("test", ScriptedProvider(script=script))) as server:
        for reason in Reason:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await server.images.Generate(generate(prompt=reason.name))
            read.append(refusal(caught.value).reason)

    assert read == [reason.name for reason in Reason]


async def test_of_google_too_one_refusal_costs_one_image() -> None:
    """Two pictures of which one is refused inside an HTTP 200: one comes, and one is a failure with its index."""
    refusal = {"candidates": [{"finishReason": "IMAGE_SAFETY", "index": 0}]}
    async with google_workshop() as made:
        made.fake.answer_next(json_answer(200, refusal))
        wish = Wish(Operation.GENERATE, GOOGLE_MODEL, "two boats", Options(count=2))
        result = await made.workshop.result(wish)

    assert len(result.images) == 1
    assert [failure.error.reason for failure in result.failures] == [Reason.CONTENT_FILTERED]
    assert {result.images[0].index, result.failures[0].index} == {0, 1}

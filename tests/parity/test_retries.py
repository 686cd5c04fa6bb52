"""When a vendor is asked again, and when it is not."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from imagegen import AsyncClient, CallSettings, ImageGenError, Progress, Reason
from imagegen.v1 import error_reason_pb2, image_pb2, image_service_pb2, image_stream_pb2

from tests.parity.configured import configured_service, limited, sent_keys
from tests.parity.forms import FORMS, begin, call, failure_of, refused
from tests.parity.service import MODEL, PATIENCE, draw, recorded
from tests.support.provider import TEN_TIMES_THE_PROMISE
from tests.support.server import nothing_left
from tests.support.vendor import Answer, event_answer

AT_ONCE = 'retry = {base_delay = "1ms", per_second = 2000.0'
STRATEGIES = ("exponential", "linear", "retry_after", "token_bucket")


def retry(strategy: str, more: str = "") -> str:
    """Write the table of a strategy that by itself waits for nearly nothing."""
    return f'{AT_ONCE}, strategy = "{strategy}"{more}}}'


def reasons(attempts: Sequence[image_pb2.Attempt]) -> list[str]:
    """Name why each attempt failed; "" = it did not."""
    names = [error_reason_pb2.ErrorReason.Name(attempt.reason) for attempt in attempts]
    return [name.removeprefix("ERROR_REASON_").replace("UNSPECIFIED", "") for name in names]


@pytest.mark.parametrize("form", FORMS)
async def test_what_was_refused_for_now_is_asked_again(form: str, tmp_path: Path) -> None:
    """Every form is repeated by default, up to three requests in all, and the result tells of each."""
    async with configured_service(tmp_path, 'retry = {base_delay = "1ms"}') as service:
        service.fake.answer_next(limited(), limited(status=503))
        result = await call(service, form)

        assert len(service.fake.requests) == 3
    assert reasons(result.attempts) == ["RATE_LIMITED", "PROVIDER_UNAVAILABLE", ""]


@pytest.mark.parametrize(
    ("strategy", "status"),
    # A token bucket repeats RATE_LIMITED alone.
    [*((strategy, 429) for strategy in STRATEGIES), *((strategy, 503) for strategy in STRATEGIES[:-1])],
)
async def test_every_strategy_waits_as_long_as_the_vendor_asks(strategy: str, status: int, tmp_path: Path) -> None:
    """By itself each would wait for milliseconds; asked for 300 of them, none asks again before."""
    async with configured_service(tmp_path, retry(strategy)) as service:
        service.fake.answer_next(limited(300, status))
        start = time.monotonic()
        await service.server.images.Generate(draw())
        took = time.monotonic() - start

        assert len(service.fake.requests) == 2
    assert took >= 0.3


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_no_delay_exceeds_the_limit(strategy: str, tmp_path: Path) -> None:
    """A strategy that by itself would wait for an hour waits no longer than max_delay."""
    lines = f'retry = {{strategy = "{strategy}", base_delay = "1h", per_second = 0.0001, max_delay = "20ms"}}'
    async with configured_service(tmp_path, lines) as service:
        service.fake.answer_next(limited(), limited())
        async with asyncio.timeout(PATIENCE):
            await service.server.images.Generate(draw())

        assert len(service.fake.requests) == 3


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_longer_wait_is_told_instead_of_waited_for(strategy: str, tmp_path: Path) -> None:
    """A vendor that asks for more than max_delay is not asked again, and the caller hears for how long."""
    async with configured_service(tmp_path, retry(strategy, ', max_delay = "1s"')) as service:
        service.fake.answer_next(limited(60_000))
        told = await failure_of(begin(service, "Generate"))

        assert len(service.fake.requests) == 1
    assert (told.reason, told.retry_delay) == ("RATE_LIMITED", 60)


async def test_the_wait_of_the_last_attempt_is_told(tmp_path: Path) -> None:
    """After the last request that max_attempts allows the caller hears the error, its wait, and every attempt."""
    async with configured_service(tmp_path, retry("exponential", ", max_attempts = 2")) as service:
        service.fake.answer_next(limited(), limited(7000))
        told = await failure_of(begin(service, "Generate"))

        assert len(service.fake.requests) == 2
    assert (told.reason, told.retry_delay) == ("RATE_LIMITED", 7)
    assert told.failure is not None
    assert reasons(told.failure.attempts) == ["RATE_LIMITED", "RATE_LIMITED"]


async def test_no_strategy_asks_once(tmp_path: Path) -> None:
    """With "none" a failure is final."""
    async with configured_service(tmp_path, retry("none")) as service:
        service.fake.answer_next(limited())
        told = await failure_of(begin(service, "Generate"))

        assert (told.reason, len(service.fake.requests)) == ("RATE_LIMITED", 1)


async def test_a_token_bucket_is_refilled_by_time_alone(tmp_path: Path) -> None:
    """Twelve calls that all succeed, of which two may go at once, take the time of the ten others."""
    async with configured_service(
        tmp_path, 'retry = {strategy = "token_bucket", capacity = 2, per_second = 50.0}'
    ) as service:
        start = time.monotonic()
        for _ in range(12):
            await service.server.images.Generate(draw())
        took = time.monotonic() - start

        assert len(service.fake.requests) == 12
    assert took >= 10 / 50


EAGER = retry("exponential", ", ambiguous = true")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["moderation_blocked", "moderation_blocked_output", "content_policy_violation"])
async def test_moderation_is_never_asked_again(name: str, form: str, tmp_path: Path) -> None:
    """With a second key to go with, and even where all else is repeated, one request is the end of it."""
    async with configured_service(tmp_path, EAGER, keys=["sk-a", "sk-b"]) as service:
        service.fake.answer_next(recorded(name))
        told = await failure_of(begin(service, form))

        assert (told.reason, len(service.fake.requests)) == ("CONTENT_FILTERED", 1)


@pytest.mark.parametrize("name", ["insufficient_quota", "quota_with_retry_after", "billing_hard_limit_reached"])
async def test_used_up_quota_is_asked_again_with_another_key_alone(name: str, tmp_path: Path) -> None:
    """Under whatever status: with one key it is one request; with two the second is tried, without a wait."""
    async with configured_service(tmp_path, EAGER) as service:
        service.fake.answer_next(recorded(name))
        told = await failure_of(begin(service, "Generate"))

        assert (told.reason, told.retry_delay, len(service.fake.requests)) == ("QUOTA_EXCEEDED", None, 1)
    async with configured_service(tmp_path, EAGER, keys=["sk-a", "sk-b"]) as service:
        service.fake.answer_next(recorded(name), recorded(name))
        told = await failure_of(begin(service, "Generate"))

        assert told.reason == "QUOTA_EXCEEDED"
        assert sent_keys(service) == ["sk-a", "sk-b"]


def broken_off() -> Answer:
    """Take a request, and hang up in the middle of the answer."""
    answer = event_answer(b'{"created": 1', breaks_off=True)
    answer.headers, answer.checks = {"content-type": "application/json"}, False
    return answer


@pytest.mark.parametrize("allowed", ["", "operator", "caller"])
async def test_what_may_have_been_billed_is_repeated_only_if_somebody_says_so(allowed: str, tmp_path: Path) -> None:
    """An answer that broke off may have cost a picture: asked again only if config or the request says so."""
    more = ", ambiguous = true" if allowed == "operator" else ""
    async with (
        configured_service(tmp_path, retry("exponential", more)) as service,
        AsyncClient(service.server.address) as client,
    ):
        service.fake.answer_next(broken_off())
        settings: CallSettings = {"retry_ambiguous": True} if allowed == "caller" else {}
        made = client.generate(MODEL, "a boat", **settings)
        if allowed:
            assert (await made).image.bytes
        else:
            with pytest.raises(ImageGenError) as caught:
                await made
            assert (caught.value.reason, caught.value.billed) == (Reason.NETWORK_ERROR, "unknown")

        assert len(service.fake.requests) == (2 if allowed else 1)


BACK_OFF = 'retry = {strategy = "linear", base_delay = "1h", max_delay = "1h"}'


async def until_retrying(stream: "grpc.aio.UnaryStreamCall[object, image_stream_pb2.ImageStreamEvent]") -> str:
    """Read until the wait before the next request has begun; tells the generation's id."""
    async with asyncio.timeout(PATIENCE):
        async for event in stream:
            if event.progress.phase == image_stream_pb2.PHASE_RETRYING:
                break
    return str(dict(await stream.initial_metadata())["imagegen-generation-id"])


@pytest.mark.parametrize("form", ["StreamGenerate", "StreamEdit"])
async def test_a_cancel_ends_a_back_off_at_once(form: str, tmp_path: Path) -> None:
    """Cancel during a wait of an hour: the reader hears CANCELLED at once, free of charge, and nothing is sent."""
    async with configured_service(tmp_path, BACK_OFF) as service:
        service.fake.answer_next(limited())
        stream = begin(service, form)
        id_ = await until_retrying(stream)
        async with asyncio.timeout(TEN_TIMES_THE_PROMISE):
            await service.server.images.Cancel(image_service_pb2.CancelRequest(generation_id=id_))
            told = await failure_of(stream)

        assert (told.reason, told.billed) == ("CANCELLED", "no")
        assert len(service.fake.requests) == 1


async def test_hanging_up_ends_a_back_off_at_once(tmp_path: Path) -> None:
    """So does leaving: nothing of the call is left at the server."""
    async with configured_service(tmp_path, BACK_OFF) as service:
        service.fake.answer_next(limited())
        stream = begin(service, "StreamGenerate")
        await until_retrying(stream)
        stream.cancel()
        async with asyncio.timeout(TEN_TIMES_THE_PROMISE):
            await nothing_left(service.server)

        assert len(service.fake.requests) == 1


async def test_abort_ends_a_back_off_at_once(tmp_path: Path) -> None:
    """And so does abort(), for whoever waits for the result."""
    async with configured_service(tmp_path, BACK_OFF) as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(limited())
        stream = client.stream(MODEL, "a boat", resumable=True)
        async for event in stream:
            if isinstance(event, Progress) and event.phase == "retrying":
                break
        async with asyncio.timeout(TEN_TIMES_THE_PROMISE):
            await stream.abort()
            with pytest.raises(ImageGenError) as caught:
                await stream.result()
            await nothing_left(service.server)

        assert caught.value.reason == Reason.CANCELLED
        assert len(service.fake.requests) == 1


async def test_a_back_off_shows_that_it_lives(tmp_path: Path) -> None:
    """While the server waits to ask again, heartbeats come and say so."""
    async with configured_service(tmp_path, BACK_OFF, heartbeat=0.02) as service:
        service.fake.answer_next(limited())
        stream = begin(service, "StreamGenerate")
        await until_retrying(stream)
        beats = []
        async with asyncio.timeout(PATIENCE):
            async for event in stream:
                beats.append(event.progress.phase)
                if len(beats) == 3:
                    break
        stream.cancel()

    assert beats == [image_stream_pb2.PHASE_RETRYING] * 3


async def test_a_deadline_that_comes_before_the_next_request_is_not_waited_for(tmp_path: Path) -> None:
    """A caller who would not be there any more hears at once why the first request failed."""
    async with configured_service(tmp_path, BACK_OFF) as service:
        service.fake.answer_next(limited())
        made = service.server.images.StreamGenerate(draw(), timeout=PATIENCE)

        assert await refused(made) == "RATE_LIMITED"

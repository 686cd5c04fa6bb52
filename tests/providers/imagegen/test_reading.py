"""What is read on where the way broke, what is not asked after, and what is never sent a second time."""

import asyncio
from collections.abc import AsyncGenerator

import imagegen._backoff
import pytest
from google.rpc import error_details_pb2
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.imagegen_provider import far_at
from tests.support.imagegen_told import Told, hear
from tests.support.provider import ScriptedProvider, never
from tests.support.server import Running, as_config, running_server
from tests.support.tcp_relay import TcpRelay


def wish(model: str = "far/test/any") -> image_service_pb2.GenerateRequest:
    """Wish for a picture."""
    return image_service_pb2.GenerateRequest(model=model, input=image_pb2.ImageInput(prompt="a boat"))


def reason(told: Told) -> tuple[str, str]:
    """Why it came to nothing, and whether that was paid for."""
    info = told.detail(error_details_pb2.ErrorInfo)
    return info.reason.removeprefix("ERROR_REASON_"), info.metadata["billed"]


async def test_where_no_connection_is_made_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client does not try again by itself: it costs nothing, and the next model is tried at once."""
    waited: list[str] = []
    monkeypatch.setattr(imagegen._backoff.Backoff, "next_delay", lambda _: waited.append("again"))
    async with TcpRelay("127.0.0.1:1") as relay:
        address = relay.address
    async with running_server(
        far_at(address), sandbox=True, aliases={"draft": ["far/test/any", "sandbox/scene"]}
    ) as near:
        alone = await hear(near, wish())
        request = wish("draft")
        request.options.size.width = request.options.size.height = 32
        elsewhere = await hear(near, request)

    assert reason(alone) == ("NETWORK_ERROR", "no")
    assert elsewhere.result.model == "sandbox/scene"
    assert [attempt.outcome for attempt in elsewhere.result.attempts] == [
        image_pb2.ATTEMPT_OUTCOME_NOT_SENT,
        image_pb2.ATTEMPT_OUTCOME_ACCEPTED,
    ]
    assert not waited


async def test_a_server_that_was_started_anew_is_not_asked_to_draw_again() -> None:
    """It does not know what was begun for us, so that what became of that is unknown."""
    begun = asyncio.Event()

    async def begin(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        begun.set()
        async for event in never(task, call):
            yield event

    first, second = ScriptedProvider(begin), ScriptedProvider()
    async with (
        TcpRelay("127.0.0.1:1") as relay,
        running_server(far_at(relay.address)) as near,
        running_server(as_config("test", first)) as far,
        running_server(as_config("test", second)) as anew,
    ):
        lead(relay, far)
        hearing = asyncio.create_task(hear(near, wish()))
        await begun.wait()
        lead(relay, anew)
        relay.cut()
        told = await hearing

    assert reason(told) == ("NETWORK_ERROR", "unknown")
    assert not second.tasks
    (attempt,) = told.detail(image_pb2.GenerationFailure).attempts
    assert attempt.billed == image_pb2.BILLED_UNKNOWN


def lead(relay: TcpRelay, server: Running) -> None:
    """Let new connections lead to this server."""
    relay._port = int(server.address.rpartition(":")[2])

"""A server with the provider `openai`, the fake of the vendor behind it, and the recorded answers it can give."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from imagegen.v1 import image_service_pb2
from imagegen_server.config import ProviderConfig
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.transport import HttpSettings
from imagegen_server.providers.openai import PROVIDER, OpenAISettings
from imagegen_server.rpc.image_service import DeliverySettings

from tests.support.calls import Seen, edit, generate, watch
from tests.support.openai_api import FakeOpenAI, fake_openai
from tests.support.pictures import png
from tests.support.server import Running, running_server
from tests.support.vendor import Answer, event_answer
from tests.support.wire import WireFixture, wire_fixtures

MODEL = "openai/gpt-image-2"
PATIENCE = 30.0
"""Seconds after which a test fails instead of hanging. Nothing takes that long."""

WIRE: Mapping[str, WireFixture] = {fixture.name: fixture for fixture in wire_fixtures("openai")}


@dataclass(frozen=True)
class Service:
    """A server, and the vendor that it asks."""

    server: Running
    fake: FakeOpenAI


@asynccontextmanager
async def openai_service(
    *, provider_timeout: float = 600.0, heartbeat: float = DeliverySettings().heartbeat
) -> AsyncIterator[Service]:
    """Serve until the block ends, and send nothing twice. Both times are in seconds."""
    async with fake_openai() as fake:
        http = HttpSettings(base_url=fake.base_url)
        once = UpstreamSettings((ProviderKey(Secret(fake.key)),), retry=RetrySettings("none"))
        provider = ProviderConfig("openai", PROVIDER, OpenAISettings(), provider_timeout, http, once)
        async with running_server(provider, delivery=DeliverySettings(heartbeat=heartbeat)) as server:
            yield Service(server, fake)


def draw(**fields: Any) -> image_service_pb2.GenerateRequest:
    """Ask the vendor's model for new pictures."""
    return generate(MODEL, **fields)


def change(*images: bytes, **fields: Any) -> image_service_pb2.EditRequest:
    """Ask the vendor's model for changed pictures."""
    return edit(*(images or (png(16, 16),)), model=MODEL, **fields)


def recorded(name: str) -> Answer:
    """Find a recorded answer; it is given whatever is asked."""
    answer = WIRE[name].answer()
    answer.checks = False
    return answer


def in_mid_stream(hold: asyncio.Event) -> Answer:
    """Send one preview, wait, and then send the rest."""
    first, *rest = WIRE["stream_two_partials"].pieces
    return event_answer(first, hold, *rest)


def in_mid_body(hold: asyncio.Event) -> Answer:
    """Send the beginning of a JSON answer, wait, and then send the rest."""
    (body,) = WIRE["json_png"].pieces
    middle = len(body) // 2
    return Answer(200, {"content-type": "application/json"}, [body[:middle], hold, body[middle:]])


async def watch_recorded(service: Service, name: str, into: Seen | None = None) -> Seen:
    """Have the vendor give a recorded answer to a call of the kind that it answers, and read along."""
    fixture = WIRE[name]
    service.fake.answer_next(recorded(name))
    options = {"count": fixture.count, "previewCount": fixture.partial_images}
    if fixture.operation.endswith("edit"):
        return await watch(service.server.images.StreamEdit(change(options=options)), into)
    return await watch(service.server.images.StreamGenerate(draw(options=options)), into)

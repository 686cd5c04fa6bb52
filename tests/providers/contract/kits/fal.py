"""fal.ai: its queue, and its streams for previews."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from imagegen_server.domain.task import Wish
from imagegen_server.http.polling import Pace
from imagegen_server.providers.fal import PROVIDER

from tests.providers.contract.kit import PROMPT, SIDE, Kit
from tests.support.fal_api import COMPLETED, KEY, FakeFal, fake_fal, said_by
from tests.support.fal_provider import fal_provider
from tests.support.pictures import png
from tests.support.recording import RecordedRequest
from tests.support.vendor import Answer, FakeVendor
from tests.support.wire import WireFixture


def _mask(request: RecordedRequest) -> bytes:
    body = request.json
    return base64.b64decode((body.get("mask_url") or body["mask_image_url"]).partition(",")[2])


def _says(fixture: WireFixture, fake: FakeVendor) -> list[Answer]:
    assert isinstance(fake, FakeFal)
    return list(said_by(fixture, fake))


def _asks(kit: Kit, fixture: WireFixture) -> Wish:
    images = [png(SIDE, SIDE)] * 2 if fixture.operation.endswith("edit") else []
    make = partial(kit.editing, *images) if images else kit.drawing
    return make(prompt=PROMPT, count=fixture.count, preview_count=fixture.partial_images)


@asynccontextmanager
async def _fake() -> AsyncIterator[FakeVendor]:
    """Let nobody wait: two questions after a request, and its picture is there."""
    async with fake_fal() as fake:
        fake.queue.statuses = ({"status": "IN_QUEUE", "queue_position": 2}, COMPLETED)
        yield fake


KIT = Kit(
    kind=PROVIDER,
    fake=_fake,
    key=KEY,
    draws="fal-ai/flux/dev",
    edits="fal-ai/flux-2/edit",
    masks="fal-ai/flux-pro/v1/fill",
    previews="fal-ai/flux/dev",
    build=lambda: fal_provider(pace=Pace(first=0.0, longest=0.005, patience=0.1)),
    open_fields=frozenset({"sync_mode"}),
    mask_in=_mask,
    asks=_asks,
    says=_says,
    calls_off="PUT /cancel",
)

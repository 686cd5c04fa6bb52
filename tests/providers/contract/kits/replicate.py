"""Replicate: predictions that are asked after."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from imagegen_server.http.polling import Pace
from imagegen_server.providers.replicate import PROVIDER

from tests.providers.contract.kit import Kit
from tests.support.recording import RecordedRequest
from tests.support.replicate_api import KEY, FakeReplicate, fake_replicate, said_by
from tests.support.replicate_models import COLLECTIONS, MODELS
from tests.support.replicate_provider import replicate_provider
from tests.support.vendor import Answer, FakeVendor
from tests.support.wire import WireFixture


def _mask(request: RecordedRequest) -> bytes:
    return base64.b64decode(request.json["input"]["mask"].partition(",")[2])


def _says(fixture: WireFixture, fake: FakeVendor) -> list[Answer]:
    assert isinstance(fake, FakeReplicate)
    return said_by(fixture, fake)


@asynccontextmanager
async def _fake() -> AsyncIterator[FakeVendor]:
    """Let nobody wait: one question after a prediction was created, and its picture is there, in the answer.

    The only model with previews is not listed: that it has some is known only after it was asked.
    """
    async with fake_replicate() as fake:
        fake.work.statuses, fake.inside = ("starting", "succeeded"), True
        fake.collections = {
            slug: tuple(name for name in names if not MODELS[name].steps) for slug, names in COLLECTIONS.items()
        }
        yield fake


KIT = Kit(
    kind=PROVIDER,
    fake=_fake,
    key=KEY,
    draws="black-forest-labs/flux-schnell",
    edits="black-forest-labs/flux-2-pro",
    masks="black-forest-labs/flux-fill-pro",
    build=lambda: replicate_provider(pace=Pace(first=0.0, longest=0.005, patience=0.1)),
    mask_in=_mask,
    says=_says,
    calls_off="POST /cancel",
)

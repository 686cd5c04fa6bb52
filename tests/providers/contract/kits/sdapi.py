"""A server with the API of AUTOMATIC1111's web UI: Forge, behind a key.

What it is asked beside the call for a picture is tested in tests/providers/sdapi.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from imagegen_server.providers.sdapi import PROVIDER, SdapiSettings
from imagegen_server.providers.sdapi.provider import Sdapi

from tests.providers.contract.kit import Kit
from tests.providers.contract.oddities import marked
from tests.support.recording import RecordedRequest
from tests.support.sdapi_api import KEY, TITLES, fake_sdapi
from tests.support.sdapi_provider import UNASKED
from tests.support.vendor import FakeVendor


def _mask(request: RecordedRequest) -> bytes:
    return base64.b64decode(request.json["mask"])


@asynccontextmanager
async def _fake() -> AsyncIterator[FakeVendor]:
    """Let nobody in without the key."""
    async with fake_sdapi("forge", locked=True) as fake:
        # Previews come by other answers than the picture.
        fake.dress = marked
        yield fake


KIT = Kit(
    kind=PROVIDER,
    fake=_fake,
    key=KEY,
    draws="default",
    edits="default",
    masks=TITLES[0],
    previews="default",
    build=lambda: Sdapi(PROVIDER.name, SdapiSettings(), UNASKED),
    environment={"SDAPI_KEY": KEY},
    table={"base_url": "https://pictures.example", "api_key": {"env": "SDAPI_KEY"}},
    open_fields=frozenset({"width", "height", "override_settings", "override_settings_restore_afterwards"}),
    own_ids=frozenset({"force_task_id"}),
    mask_in=_mask,
    missing={
        "quota": "nothing is paid",
        "moderation": "there is none; an extension that censors puts a black picture in the place of another",
    },
)

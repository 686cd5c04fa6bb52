"""ComfyUI, behind a proxy that wants a key."""

from contextlib import AbstractAsyncContextManager

from imagegen_server.providers.comfyui import PROVIDER, ComfyUISettings
from imagegen_server.providers.comfyui.provider import ComfyUI

from tests.providers.contract.kit import Kit
from tests.support.comfyui_api import KEY, FakeComfyUI, fake_comfyui
from tests.support.comfyui_nodes import CHECKPOINTS
from tests.support.comfyui_provider import AT_ONCE
from tests.support.comfyui_wire import answers_of
from tests.support.recording import RecordedRequest
from tests.support.vendor import Answer, FakeVendor
from tests.support.wire import WireFixture


def _fake() -> AbstractAsyncContextManager[FakeComfyUI]:
    return fake_comfyui(key=KEY)


def _mask(request: RecordedRequest) -> bytes:
    (file,) = request.files
    return file.data


def _says(fixture: WireFixture, fake: FakeVendor) -> list[Answer]:
    assert isinstance(fake, FakeComfyUI)
    return list(answers_of(fixture, fake))


KIT = Kit(
    kind=PROVIDER,
    fake=_fake,
    key=KEY,
    draws=CHECKPOINTS[0],
    edits=CHECKPOINTS[0],
    masks=CHECKPOINTS[0],
    previews=CHECKPOINTS[0],
    build=lambda: ComfyUI(PROVIDER.name, ComfyUISettings(), AT_ONCE),
    environment={"COMFYUI_PROXY_KEY": KEY},
    table={"base_url": "https://comfyui.example", "api_key": {"env": "COMFYUI_PROXY_KEY"}},
    open_fields=frozenset({"extra_data"}),
    own_ids=frozenset({"client_id", "prompt_id"}),
    uploads="/upload/",
    mask_in=_mask,
    says=_says,
    calls_off="POST /cancel",
    missing={
        "quota": "a server of one's own costs nothing",
        "moderation": "it draws what it is told",
    },
)

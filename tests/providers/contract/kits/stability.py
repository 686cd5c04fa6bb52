"""Stability AI."""

from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.stability import PROVIDER
from imagegen_server.providers.stability.provider import Stability

from tests.providers.contract.kit import Kit
from tests.support.recording import RecordedRequest
from tests.support.stability_api import KEY, fake_stability
from tests.support.stability_provider import AT_ONCE
from tests.support.stability_wire import answers_of, wish_of


def _mask(request: RecordedRequest) -> bytes:
    (mask,) = [file.data for file in request.files if file.name == "mask"]
    return mask


KIT = Kit(
    kind=PROVIDER,
    fake=fake_stability,
    key=KEY,
    draws="core",
    edits="control/structure",
    masks="edit/inpaint",
    build=lambda: Stability(PROVIDER.name, NoSettings(), AT_ONCE),
    mask_in=_mask,
    asks=lambda _kit, fixture: wish_of(fixture),
    says=lambda fixture, _fake: answers_of(fixture),
)

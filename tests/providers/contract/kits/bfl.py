"""Black Forest Labs."""

import base64

from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.bfl import PROVIDER
from imagegen_server.providers.bfl.provider import BFL

from tests.providers.contract.kit import Kit
from tests.support.bfl_api import KEY, FakeBFL, fake_bfl
from tests.support.bfl_provider import AT_ONCE
from tests.support.bfl_wire import answers_of
from tests.support.recording import RecordedRequest
from tests.support.vendor import Answer, FakeVendor
from tests.support.wire import WireFixture


def _mask(request: RecordedRequest) -> bytes:
    return base64.b64decode(request.json["mask"])


def _says(fixture: WireFixture, fake: FakeVendor) -> list[Answer]:
    assert isinstance(fake, FakeBFL)
    return list(answers_of(fixture, fake))


KIT = Kit(
    kind=PROVIDER,
    fake=fake_bfl,
    key=KEY,
    draws="flux-2-pro",
    edits="flux-2-pro",
    masks="flux-pro-1.0-fill",
    build=lambda: BFL(PROVIDER.name, NoSettings(), AT_ONCE),
    mask_in=_mask,
    says=_says,
    tells_cost=True,
)

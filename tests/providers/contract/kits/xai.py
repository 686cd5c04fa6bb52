"""xAI."""

from imagegen_server.providers.xai import PROVIDER

from tests.providers.contract.kit import Kit
from tests.support.xai_api import KEY, fake_xai

KIT = Kit(
    kind=PROVIDER,
    fake=fake_xai,
    key=KEY,
    draws="grok-imagine-image-2.0",
    edits="grok-imagine-image-2.0",
    tells_cost=True,
)

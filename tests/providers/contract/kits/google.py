"""Google's Gemini API."""

from imagegen_server.providers.google import PROVIDER

from tests.providers.contract.kit import Kit
from tests.support.google_api import KEY, fake_google

KIT = Kit(
    kind=PROVIDER,
    fake=fake_google,
    key=KEY,
    draws="gemini-3-pro-image",
    edits="gemini-3-pro-image",
    previews="gemini-3-pro-image",
    open_fields=frozenset({"generationConfig"}),
)

"""OpenRouter, before its list of models was read."""

from imagegen_server.providers.openrouter import PROVIDER

from tests.providers.contract.kit import Kit
from tests.support.openrouter_api import KEY, fake_openrouter

KIT = Kit(
    kind=PROVIDER,
    fake=fake_openrouter,
    key=KEY,
    draws="openai/gpt-image-2",
    edits="openai/gpt-image-2",
    previews="openai/gpt-image-2",
    along={"compression": {"format": "jpeg"}},
    tells_cost=True,
)

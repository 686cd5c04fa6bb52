"""Servers that speak as OpenAI: two that differ from it and from one another in most of what can differ."""

from functools import partial

from imagegen_server.providers.openai_compatible import PROVIDER, CompatibleSettings

from tests.providers.contract.kit import Kit
from tests.support.openai_compatible_api import KEY, MODEL, fake_server
from tests.support.recording import RecordedRequest


def _mask(request: RecordedRequest) -> bytes:
    (mask,) = [file.data for file in request.files if file.name == "mask"]
    return mask


KITS = (
    Kit(
        kind=PROVIDER,
        variant="recraft",
        fake=partial(fake_server, "recraft"),
        key=KEY,
        draws="recraftv4",
        edits="recraftv4",
        masks="recraftv4",
        build=lambda: PROVIDER.build(PROVIDER.name, CompatibleSettings("recraft")),
        environment={"RECRAFT_API_TOKEN": KEY},
        table={"dialect": "recraft", "api_key": {"env": "RECRAFT_API_TOKEN"}},
        wire="openai_compatible/recraft",
        open_fields=frozenset({"strength"}),
        mask_in=_mask,
        tells_cost=True,
    ),
    Kit(
        kind=PROVIDER,
        variant="together",
        fake=partial(fake_server, "together"),
        key=KEY,
        draws=MODEL,
        edits=MODEL,
        build=lambda: PROVIDER.build(PROVIDER.name, CompatibleSettings("together")),
        environment={"TOGETHER_API_KEY": KEY},
        table={"dialect": "together", "api_key": {"env": "TOGETHER_API_KEY"}},
        wire="openai_compatible/together",
    ),
)

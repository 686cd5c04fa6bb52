"""Vertex AI, by a key: an express account."""

from imagegen_server.providers.vertex import PROVIDER

from tests.providers.contract.kit import Kit
from tests.support.vertex_api import KEY, fake_vertex

KIT = Kit(
    kind=PROVIDER,
    fake=fake_vertex,
    key=KEY,
    draws="gemini-3-pro-image",
    edits="gemini-3-pro-image",
    previews="gemini-3-pro-image",
    open_fields=frozenset({"generationConfig"}),
    environment={"VERTEX_API_KEY": KEY},
    table={"api_key": {"env": "VERTEX_API_KEY"}},
    along={"compression": {"format": "jpeg"}},
)

"""OpenAI."""

from imagegen_server.providers.openai import PROVIDER

from tests.providers.contract.kit import Kit
from tests.support.openai_api import fake_openai
from tests.support.recording import RecordedRequest

KEY = "sk-test-key-0123456789"


def _mask(request: RecordedRequest) -> bytes:
    (mask,) = [file.data for file in request.files if file.name == "mask"]
    return mask


KIT = Kit(
    kind=PROVIDER,
    fake=lambda: fake_openai(KEY),
    key=KEY,
    draws="gpt-image-2",
    edits="gpt-image-2",
    masks="gpt-image-2",
    previews="gpt-image-2",
    along={"compression": {"format": "jpeg"}},
    mask_in=_mask,
    mask_edits="transparent",
)

"""Stability AI's models on Amazon Bedrock, by a key."""

import base64

from imagegen_server.providers.bedrock import PROVIDER, BedrockSettings

from tests.providers.contract.kit import Kit
from tests.support.bedrock_api import KEY, REGION, fake_bedrock
from tests.support.recording import RecordedRequest


def _mask(request: RecordedRequest) -> bytes:
    return base64.b64decode(request.json["mask"])


KIT = Kit(
    kind=PROVIDER,
    fake=fake_bedrock,
    key=KEY,
    draws="stability.stable-image-core-v1:1",
    edits="us.stability.stable-image-control-structure-v1:0",
    masks="us.stability.stable-image-inpaint-v1:0",
    build=lambda: PROVIDER.build(PROVIDER.name, BedrockSettings(REGION)),
    environment={"AWS_REGION": REGION},
    mask_in=_mask,
    mask_edits="white",
)

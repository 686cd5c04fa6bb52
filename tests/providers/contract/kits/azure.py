"""OpenAI's models on Azure, by the newer URLs and a key."""

from imagegen_server.providers.azure import PROVIDER, AzureSettings

from tests.providers.contract.kit import Kit
from tests.support.azure_api import DEPLOYMENTS, KEY, fake_azure
from tests.support.recording import RecordedRequest


def _mask(request: RecordedRequest) -> bytes:
    (mask,) = [file.data for file in request.files if file.name == "mask"]
    return mask


KIT = Kit(
    kind=PROVIDER,
    fake=lambda: fake_azure("/openai/v1"),
    key=KEY,
    draws="pictures",
    edits="pictures",
    masks="pictures",
    previews="pictures",
    build=lambda: PROVIDER.build(PROVIDER.name, AzureSettings(deployments=DEPLOYMENTS)),
    environment={"AZURE_OPENAI_ENDPOINT": "https://team.openai.azure.com"},
    along={"compression": {"format": "jpeg"}},
    mask_in=_mask,
    mask_edits="transparent",
)

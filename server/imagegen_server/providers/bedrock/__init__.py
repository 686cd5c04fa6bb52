"""Stability AI's image models on Amazon Bedrock, by InvokeModel.

Sources: the pages on Stability AI's models, on model lifecycle and on error codes of Amazon Bedrock's user guide, the
service models of botocore (bedrock-runtime, bedrock), and bodies that users of the API reported. Each model and each
image service is a body of its own at `POST /model/{id}/invoke`, answered as JSON; there are no previews.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import EXTRA, BedrockSettings, base_url_of, key_required

__all__ = ["PROVIDER", "BedrockSettings"]

PROVIDER = ProviderType(
    name="bedrock",
    settings=BedrockSettings,
    build=built_by("imagegen_server.providers.bedrock.provider:Bedrock"),
    remote=Remote(
        key_env="AWS_BEARER_TOKEN_BEDROCK",
        key_required=key_required,
        base_url_of=base_url_of,
        settings_env={"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
        without_key=f"install {EXTRA}, and requests are signed with AWS credentials",
    ),
)

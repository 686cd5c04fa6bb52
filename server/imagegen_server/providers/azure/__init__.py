"""OpenAI's image models on Azure: the Images API of OpenAI at an address, with keys and in words of its own.

Sources: learn.microsoft.com/azure/ai-foundry/openai (reference, v1 API, image generation, Entra ID), `lib/azure.py` of
github.com/openai/openai-python, and bodies that users of the API reported. What is asked for is a deployment, by the
name that the operator gave it.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import EXTRA, AzureSettings, base_url_of, key_required

__all__ = ["PROVIDER", "AzureSettings"]

PROVIDER = ProviderType(
    name="azure",
    settings=AzureSettings,
    build=built_by("imagegen_server.providers.azure.provider:Azure"),
    remote=Remote(
        key_env="AZURE_OPENAI_API_KEY",
        key_required=key_required,
        base_url_of=base_url_of,
        settings_env={"endpoint": "AZURE_OPENAI_ENDPOINT"},
        without_key=f'install {EXTRA} and set credential = "entra", and the server asks as what it runs as',
    ),
)

"""What is set up of a provider on AWS: a region, and who asks."""

import re
from dataclasses import dataclass
from importlib.util import find_spec

EXTRA = "imagegen-server[bedrock]"
"""What has to be installed for requests that are signed with AWS credentials: botocore."""

_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")
DOMAINS = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}
"""By what a region begins with; all others are below amazonaws.com. Source: the endpoints of botocore."""


@dataclass(frozen=True, slots=True)
class BedrockSettings:
    """The keys of the table.

    `region` has to be said, here or by the vendor's variables. `profile` names one of the shared AWS configuration, and
    counts where no key is set up; "" = as the environment says.
    """

    region: str = ""
    profile: str = ""


def domain_of(region: str) -> str:
    """Tell below which domain the vendor's hosts of a region are."""
    return DOMAINS.get(region.partition("-")[0], "amazonaws.com")


def base_url_of(settings: BedrockSettings) -> str:
    """Tell where models are run.

    :raises ValueError: there is no region, or it is none; begins with the name of the setting
    """
    region = settings.region
    if not region:
        raise ValueError('region: is required, such as "us-west-2"; or set AWS_REGION')
    if not _REGION.fullmatch(region):
        raise ValueError(f'region: {region!r} is none; it is written as "us-west-2"')
    return f"https://bedrock-runtime.{region}.{domain_of(region)}"


def key_required(settings: BedrockSettings) -> bool:
    """Tell whether nothing but a key can prove who asks: a request can be signed by botocore, for a region."""
    return not (signer_installed() and settings.region)


def signer_installed() -> bool:
    """Tell whether botocore is there, without importing it."""
    return find_spec("botocore") is not None

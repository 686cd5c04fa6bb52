"""How the provider is set up."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from imagegen_server.config.providers import ProviderTable, implicit_tables, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.providers.bedrock import PROVIDER, BedrockSettings, settings
from imagegen_server.providers.bedrock.settings import base_url_of, key_required

from tests.support.bedrock_package import aws_environment

TYPES = {"bedrock": PROVIDER}


@pytest.fixture(autouse=True)
def _no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no AWS of whoever runs the tests."""
    aws_environment(monkeypatch, tmp_path)


def table(**keys: Any) -> ProviderTable:
    """Write a table."""
    return ProviderTable(**keys)


def without_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the extra not installed."""
    monkeypatch.setattr(settings, "find_spec", lambda _name: None)
    monkeypatch.setattr("imagegen_server.providers.bedrock.provider.signer_installed", lambda: False)


def with_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it installed."""
    monkeypatch.setattr(settings, "find_spec", lambda _name: True)


def test_the_usual_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and region need no table, and botocore is not needed."""
    without_botocore(monkeypatch)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSK1")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    config = provider_config("bedrock", ProviderTable(), TYPES)

    assert set(implicit_tables(TYPES, loopback=False)) == {"bedrock"}
    assert config.settings == BedrockSettings("us-west-2")
    assert config.http is not None
    assert config.http.base_url == "https://bedrock-runtime.us-west-2.amazonaws.com"
    assert len(config.upstream.keys) == 1


def test_the_region_of_the_table_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then AWS_REGION, then AWS_DEFAULT_REGION."""
    assert base_url_of(BedrockSettings("eu-central-1")) == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSK1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert provider_config("bedrock", ProviderTable(), TYPES).settings == BedrockSettings("us-east-1")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert provider_config("bedrock", ProviderTable(), TYPES).settings == BedrockSettings("us-west-2")
    assert base_url_of(BedrockSettings("cn-north-1")) == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"
    assert base_url_of(BedrockSettings("eusc-de-east-1")) == "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu"
    assert base_url_of(BedrockSettings("us-gov-west-1")) == "https://bedrock-runtime.us-gov-west-1.amazonaws.com"


@pytest.mark.parametrize("region", ["", "west", "us-west-2.evil.example/", "us-west-2\n", "US-WEST-2", "a" * 80])
def test_a_region_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """At the start, with the name of the setting: it is a part of the address that the key goes to."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSK1")
    with pytest.raises(ConfigError, match=r"^providers\.bedrock\.region: "):
        provider_config("bedrock", table(region=region), TYPES)


def test_with_botocore_no_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are signed then, with what botocore finds."""
    with_botocore(monkeypatch)
    config = provider_config("bedrock", table(region="us-west-2", profile="art"), TYPES)

    assert config.settings == BedrockSettings("us-west-2", "art")
    assert config.upstream.keys == ()
    assert not key_required(BedrockSettings("us-west-2"))
    assert key_required(BedrockSettings()), "nothing can be signed for no region"


def test_without_botocore_a_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named; a profile, which would be useless, names what has to be installed."""
    without_botocore(monkeypatch)
    with pytest.raises(ConfigError, match="AWS_BEARER_TOKEN_BEDROCK"):
        provider_config("bedrock", table(region="us-west-2"), TYPES)
    with pytest.raises(ValueError, match=r"imagegen-server\[bedrock\]"):
        PROVIDER.build("bedrock", BedrockSettings("us-west-2", "art"))


def test_another_address_may_be_a_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    """The region is then needed for signatures alone."""
    with_botocore(monkeypatch)
    given = table(base_url="https://gateway.example", region="us-west-2")
    config = provider_config("bedrock", given, TYPES)

    assert config.http is not None
    assert config.http.base_url == "https://gateway.example"


def test_neither_the_adapter_nor_botocore_is_imported_before_it_is_needed() -> None:
    """Naming the provider costs nothing at start-up; with a key botocore is never imported."""
    code = (
        "import sys; from imagegen_server.providers.bedrock import PROVIDER, BedrockSettings\n"
        "assert 'imagegen_server.providers.bedrock.provider' not in sys.modules\n"
        "PROVIDER.build('bedrock', BedrockSettings('us-west-2'))\n"
        "assert 'imagegen_server.providers.bedrock.provider' in sys.modules\n"
        "assert 'botocore' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

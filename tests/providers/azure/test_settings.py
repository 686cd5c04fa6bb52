"""How the provider is set up."""

import subprocess
import sys
from typing import Any

import pytest
from imagegen_server.config.providers import ProviderTable, implicit_tables, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.providers.azure import PROVIDER, AzureSettings, settings
from imagegen_server.providers.azure.settings import base_url_of, identity_installed, key_required

TYPES = {"azure": PROVIDER}
ENDPOINT = "https://acme.openai.azure.com"


@pytest.fixture(autouse=True)
def _no_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no Azure of whoever runs the tests."""
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def table(**keys: Any) -> ProviderTable:
    """Write a table."""
    return ProviderTable(**keys)


def test_the_usual_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and endpoint need no table; the key alone sets nothing up."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k-1")
    assert not implicit_tables(TYPES, loopback=True)

    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"{ENDPOINT}/")
    config = provider_config("azure", ProviderTable(), TYPES)

    assert set(implicit_tables(TYPES, loopback=False)) == {"azure"}
    assert config.settings == AzureSettings(f"{ENDPOINT}/")
    assert config.http is not None
    assert config.http.base_url == f"{ENDPOINT}/openai/v1"
    assert len(config.upstream.keys) == 1


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
def test_the_endpoint_may_have_its_path(path: str) -> None:
    """The portal shows it with and without; the style of the URLs decides."""
    assert base_url_of(AzureSettings(ENDPOINT + path)) == f"{ENDPOINT}/openai/v1"
    assert base_url_of(AzureSettings(ENDPOINT + path, "deployments")) == f"{ENDPOINT}/openai"


def test_a_gateway_may_be_below_a_path() -> None:
    """As one of API Management is."""
    assert base_url_of(AzureSettings("https://gateway.example/images")) == "https://gateway.example/images/openai/v1"


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({}, r"^providers\.azure\.endpoint: is required"),
        ({"endpoint": "acme.openai.azure.com"}, r"^providers\.azure\.endpoint: is no address"),
        ({"endpoint": ENDPOINT, "api_version": "2025&x=1"}, "api_version"),
        ({"endpoint": ENDPOINT, "url_style": "v2"}, r"providers\.azure\.url_style"),
        ({"endpoint": ENDPOINT, "credential": "password"}, r"providers\.azure\.credential"),
        ({"endpoint": ENDPOINT, "deployments": ["a"]}, r"providers\.azure\.deployments"),
    ],
)
def test_what_is_wrong_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], what: str) -> None:
    """By the name of the setting."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k-1")
    with pytest.raises(ConfigError, match=what):
        provider_config("azure", table(**keys), TYPES)


def test_a_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deployments are a table of their own."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k-1")
    keys = {"endpoint": ENDPOINT, "url_style": "deployments", "deployments": {"pictures": "gpt-image-2"}}
    config = provider_config("azure", table(**keys), TYPES)

    assert config.settings == AzureSettings(ENDPOINT, "deployments", deployments={"pictures": "gpt-image-2"})


def test_a_key_is_needed_unless_entra_is_asked() -> None:
    """The error tells the other way."""
    with pytest.raises(ConfigError, match=r"AZURE_OPENAI_API_KEY(.|\n)*imagegen-server\[azure\]"):
        provider_config("azure", table(endpoint=ENDPOINT), TYPES)
    with pytest.raises(ConfigError, match="AZURE_OPENAI_API_KEY"):
        provider_config("azure", table(endpoint=ENDPOINT, credential="token"), TYPES)

    config = provider_config("azure", table(endpoint=ENDPOINT, credential="entra"), TYPES)
    assert config.upstream.keys == ()
    assert not key_required(AzureSettings(credential="entra"))


def test_without_the_extra_entra_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be installed is named, also where other packages of the vendor are there."""
    for found in (None, "azure"):
        monkeypatch.setattr(settings, "find_spec", lambda name, found=found: name if name == found else None)
        assert not identity_installed()
        with pytest.raises(ValueError, match=r"imagegen-server\[azure\]"):
            PROVIDER.build("azure", AzureSettings(ENDPOINT, credential="entra"))
    monkeypatch.setattr(settings, "find_spec", lambda name: name)
    assert identity_installed()


def test_nothing_is_imported_before_it_is_needed() -> None:
    """Naming the provider costs nothing at start-up, and a key needs no package of the vendor."""
    code = (
        "import sys; from imagegen_server.providers.azure import PROVIDER, AzureSettings\n"
        "assert 'imagegen_server.providers.azure.provider' not in sys.modules\n"
        "PROVIDER.build('azure', AzureSettings('https://acme.example'))\n"
        "assert 'imagegen_server.providers.azure.provider' in sys.modules\n"
        "assert 'azure' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""How the provider is set up."""

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.xai import PROVIDER


def test_the_usual_variable_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and address need no table."""
    monkeypatch.setenv("XAI_API_KEY", "xai-1")
    config = provider_config("xai", ProviderTable(), {"xai": PROVIDER})

    assert config.settings == NoSettings()
    assert PROVIDER.remote is not None
    assert PROVIDER.remote.base_url == "https://api.x.ai/v1"


def test_without_a_key_it_is_not_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without one is refused at the start."""
    monkeypatch.delenv("XAI_API_KEY", raising=False)

    with pytest.raises(ConfigError, match="XAI_API_KEY"):
        provider_config("xai", ProviderTable(), {"xai": PROVIDER})

"""How the provider is set up."""

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.bfl import PROVIDER
from imagegen_server.providers.bfl.provider import BFL


def test_the_usual_variable_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and address need no table."""
    monkeypatch.setenv("BFL_API_KEY", "bfl_1")
    config = provider_config("bfl", ProviderTable(), {"bfl": PROVIDER})

    assert config.settings == NoSettings()
    assert PROVIDER.remote is not None
    assert PROVIDER.remote.base_url == "https://api.bfl.ai"
    assert isinstance(PROVIDER.build("bfl", NoSettings()), BFL)


def test_without_a_key_it_is_not_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without one is refused at the start."""
    monkeypatch.delenv("BFL_API_KEY", raising=False)

    with pytest.raises(ConfigError, match="BFL_API_KEY"):
        provider_config("bfl", ProviderTable(), {"bfl": PROVIDER})

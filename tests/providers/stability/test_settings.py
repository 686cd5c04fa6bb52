"""How the provider is set up."""

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.stability import PROVIDER
from imagegen_server.providers.stability.provider import Stability


def test_the_usual_variable_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and address need no table."""
    monkeypatch.setenv("STABILITY_API_KEY", "sk-1")
    config = provider_config("stability", ProviderTable(), {"stability": PROVIDER})

    assert config.settings == NoSettings()
    assert PROVIDER.remote is not None
    assert PROVIDER.remote.base_url == "https://api.stability.ai"
    assert isinstance(PROVIDER.build("stability", NoSettings()), Stability)


def test_without_a_key_it_is_not_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without one is refused at the start."""
    monkeypatch.delenv("STABILITY_API_KEY", raising=False)

    with pytest.raises(ConfigError, match="STABILITY_API_KEY"):
        provider_config("stability", ProviderTable(), {"stability": PROVIDER})


def test_it_asks_as_often_as_the_vendor_wants() -> None:
    """Not more than once in ten seconds."""
    pace = Stability("stability", NoSettings())._pace

    assert (pace.first, pace.factor, pace.longest) == (10.0, 1.0, 10.0)

"""What the table of the provider may say beside what every provider has."""

from typing import Any

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.providers.openai import PROVIDER, OpenAISettings


@pytest.mark.parametrize("value", ["org\nX-Evil: 1", "org\r", "a\0b", "örg"])
@pytest.mark.parametrize("name", ["organization", "project"])
def test_an_id_that_fits_into_no_header_is_refused_at_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than with every request."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    table: dict[str, Any] = {name: value}

    with pytest.raises(ConfigError, match=rf"providers\.openai.*{name} must be one line"):
        provider_config("openai", ProviderTable(**table), {"openai": PROVIDER})


def test_ids_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they look like."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    table: dict[str, Any] = {"organization": "org-1"}
    config = provider_config("openai", ProviderTable(**table), {"openai": PROVIDER})

    assert config.settings == OpenAISettings(organization="org-1")

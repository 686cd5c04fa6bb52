"""How the provider is set up."""

from typing import Any

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.providers.fal import PROVIDER, FalSettings

QUEUE = "https://queue.fal.run"


def test_the_usual_variable_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and address need no table."""
    monkeypatch.setenv("FAL_KEY", "a:b")
    config = provider_config("fal", ProviderTable(), {"fal": PROVIDER})

    assert config.settings == FalSettings()
    assert config.http is not None
    assert config.http.base_url == QUEUE


def test_without_a_key_it_is_not_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without one is refused at the start."""
    monkeypatch.delenv("FAL_KEY", raising=False)

    with pytest.raises(ConfigError, match="FAL_KEY"):
        provider_config("fal", ProviderTable(), {"fal": PROVIDER})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"priority": "high"}, "providers.fal.priority"),
        ({"media_seconds": 0}, "media_seconds must be at least 1"),
        ({"start_seconds": 1}, "start_seconds must be more than 1"),
        ({"run_url": "http://fal.run"}, "run_url must begin with"),
        ({"api_url": "api.fal.ai"}, "api_url must begin with"),
        ({"streaming": "fal-ai/flux/dev"}, "providers.fal.streaming"),
        ({"stream": True}, "providers.fal.stream: is no such key"),
    ],
)
def test_a_table_that_is_wrong(table: dict[str, Any], told: str) -> None:
    """Is refused at the start, with the key that is wrong."""
    full = ProviderTable.model_validate(table | {"api_key": {"env": "PATH"}})
    with pytest.raises(ConfigError) as caught:
        provider_config("fal", full, {"fal": PROVIDER})

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "base_url", "run_url", "api_url"),
    [
        (FalSettings(), QUEUE, "https://fal.run", "https://api.fal.ai/v1"),
        (FalSettings(), "https://queue.falrun.com", "https://falrun.com", "https://api.fal.ai/v1"),
        (FalSettings(), "https://gateway.example/fal", "", ""),
        (
            FalSettings("/run/", "/v1"),
            "https://gateway.example/fal",
            "https://gateway.example/run",
            "https://gateway.example/v1",
        ),
        (FalSettings("https://r.example"), QUEUE, "https://r.example", "https://api.fal.ai/v1"),
    ],
    ids=["vendor", "backup", "gateway", "gateway told", "elsewhere"],
)
def test_where_models_stream_and_are_listed(settings: FalSettings, base_url: str, run_url: str, api_url: str) -> None:
    """At the vendor's, beside its queue; behind a gateway only where the table says."""
    assert (settings.run_url_beside(base_url), settings.api_url_beside(base_url)) == (run_url, api_url)


def test_hosts_that_get_the_key() -> None:
    """The vendor's, and those that the operator has named."""
    settings = FalSettings("https://r.example/x", "/v1")

    assert settings.domains == ("fal.run", "falrun.com", "fal.ai", "r.example")


def test_headers_that_are_not_set_up_are_not_sent() -> None:
    """The vendor's own defaults hold; a stream has no queue."""
    full = FalSettings(priority="low", media_seconds=60, store_io=False, start_seconds=30, retries=False)

    assert FalSettings().headers(queued=True) == {}
    assert full.headers(queued=False) == {
        "X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 60}',
        "X-Fal-Store-IO": "0",
        "X-Fal-Request-Timeout": "30",
    }
    assert full.headers(queued=True) == full.headers(queued=False) | {
        "X-Fal-Queue-Priority": "low",
        "X-Fal-No-Retry": "1",
    }

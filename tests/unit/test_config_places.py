"""Providers whose address and way to prove who asks follow from settings of their own: a region, a project."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from imagegen_server.config import Config, load_config
from imagegen_server.providers.base import ProviderType, Remote, built_by

from tests.support.provider import ScriptedProvider
from tests.support.remotes import KEY
from tests.support.settings import complaint, keys, write


@dataclass(frozen=True)
class Place:
    """Where the vendor's machines stand, and whether they know their callers otherwise than by a key."""

    region: str = ""
    login: bool = False


def _base_url(place: Place) -> str:
    if not place.region:
        raise ValueError("region: is required, or the environment variable CLOUD_REGION")
    return f"https://{place.region}.cloud.example"


CLOUD: ProviderType[Any] = ProviderType(
    "cloud",
    Place,
    lambda _name, _settings: ScriptedProvider(),
    remote=Remote(
        key_env="CLOUD_KEY",
        key_required=lambda place: not place.login,
        base_url_of=_base_url,
        settings_env={"region": ("CLOUD_REGION", "CLOUD_DEFAULT_REGION")},
        without_key="log in",
    ),
)


def read(folder: Path, text: str) -> Config:
    """Load a file."""
    return load_config({"cloud": CLOUD}, path=write(folder, text))


def facts(config: Config) -> list[tuple[str, str, int]]:
    """Name each provider with its address and the number of its keys."""
    return [(one.name, one.http.base_url if one.http else "", len(one.upstream.keys)) for one in config.providers]


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have neither variable."""
    monkeypatch.delenv("CLOUD_KEY", raising=False)
    monkeypatch.delenv("CLOUD_REGION", raising=False)
    monkeypatch.delenv("CLOUD_DEFAULT_REGION", raising=False)


def test_the_address_follows_from_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the table says another one."""
    monkeypatch.setenv("CLOUD_KEY", KEY)

    assert facts(read(tmp_path, '[providers.cloud]\nregion = "north"')) == [("cloud", "https://north.cloud.example", 1)]
    assert facts(read(tmp_path, '[providers.cloud]\nbase_url = "https://gateway.example"')) == [
        ("cloud", "https://gateway.example", 1)
    ]


def test_a_setting_may_stand_in_the_vendors_own_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the table says goes first, and of several variables the one that is named first."""
    monkeypatch.setenv("CLOUD_KEY", KEY)
    monkeypatch.setenv("CLOUD_DEFAULT_REGION", "west")
    assert facts(read(tmp_path, "[providers.cloud]")) == [("cloud", "https://west.cloud.example", 1)]

    monkeypatch.setenv("CLOUD_REGION", " south ")

    assert facts(read(tmp_path, "[providers.cloud]")) == [("cloud", "https://south.cloud.example", 1)]
    assert facts(read(tmp_path, '[providers.cloud]\nregion = "north"')) == [("cloud", "https://north.cloud.example", 1)]


def test_without_what_the_address_needs_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the setting; of a setting that is wrong by itself nothing more is said."""
    monkeypatch.setenv("CLOUD_KEY", KEY)

    assert complaint(lambda: read(tmp_path, "[providers.cloud]")) == [
        "providers.cloud.region: is required, or the environment variable CLOUD_REGION"
    ]
    assert keys(complaint(lambda: read(tmp_path, "[providers.cloud]\nregion = 1"))) == ["providers.cloud.region"]


def test_the_environment_alone_sets_it_up_when_it_says_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key without a region would be no provider, and no reason to refuse to start either."""
    monkeypatch.setenv("CLOUD_KEY", KEY)
    assert facts(load_config({"cloud": CLOUD})) == []

    monkeypatch.setenv("CLOUD_REGION", "south")
    assert facts(load_config({"cloud": CLOUD})) == [("cloud", "https://south.cloud.example", 1)]


def test_whether_a_key_is_needed_follows_from_the_settings(tmp_path: Path) -> None:
    """Without another way to prove who asks it is required, and the message tells of that way."""
    (line,) = complaint(lambda: read(tmp_path, '[providers.cloud]\nregion = "north"'))
    assert line.startswith("providers.cloud.api_key: is required; set CLOUD_KEY, or ")
    assert line.endswith("; or log in")

    assert facts(read(tmp_path, '[providers.cloud]\nregion = "north"\nlogin = true')) == [
        ("cloud", "https://north.cloud.example", 0)
    ]


def test_no_usual_key_goes_to_another_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of another name with an address of its own needs a key of its own, or gets none."""
    monkeypatch.setenv("CLOUD_KEY", KEY)

    (line,) = complaint(lambda: read(tmp_path, '[providers.mine]\ntype = "cloud"\nbase_url = "https://x.example"'))
    assert line.startswith("providers.mine.api_key: is required beside base_url; ")
    assert facts(read(tmp_path, '[providers.mine]\ntype = "cloud"\nlogin = true\nbase_url = "https://x.example"')) == [
        ("mine", "https://x.example", 0)
    ]


def test_an_adapter_is_imported_when_one_is_built() -> None:
    """Naming it imports nothing; building makes what the class makes."""
    build = built_by("tests.support.provider:ScriptedProvider")
    missing = built_by("imagegen_server.providers.no_such:Provider")

    assert type(build("name", ())).__name__ == "ScriptedProvider"
    with pytest.raises(ModuleNotFoundError):
        missing("name", ())

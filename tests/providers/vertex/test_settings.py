"""How the provider is set up."""

import subprocess
import sys
from typing import Any

import pytest
from imagegen_server.config.providers import ProviderTable, implicit_tables, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.domain.secret import Secret
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.vertex import PROVIDER, VertexSettings, settings
from imagegen_server.providers.vertex.provider import Vertex
from imagegen_server.providers.vertex.settings import base_url_of, key_required

TYPES = {"vertex": PROVIDER}
EXPRESS = "https://aiplatform.googleapis.com"
KEY = {"env": "VERTEX_KEY"}


@pytest.fixture(autouse=True)
def _no_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no Google Cloud of whoever runs the tests, and google-auth installed or something like it."""
    for name in ("PROJECT", "LOCATION"):
        monkeypatch.delenv(f"GOOGLE_CLOUD_{name}", raising=False)
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VERTEX_KEY", "k-1")
    monkeypatch.setattr(settings, "find_spec", lambda name: name)


def table(**keys: Any) -> ProviderTable:
    """Write a table."""
    return ProviderTable(**keys)


def test_the_usual_variables_fill_an_empty_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Project, location and credentials; what the table says goes before them, and none of them sets anything up."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "pictures-1234")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "eu")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/run/secrets/painter.json")
    config = provider_config("vertex", table(), TYPES)
    other = provider_config("vertex", table(location="us-central1"), TYPES)

    assert config.settings == VertexSettings("pictures-1234", "eu", "/run/secrets/painter.json")
    assert config.http is not None
    assert config.http.base_url == "https://aiplatform.eu.rep.googleapis.com"
    assert config.upstream.keys == ()
    assert other.http is not None
    assert other.http.base_url == "https://us-central1-aiplatform.googleapis.com"
    assert not implicit_tables(TYPES, loopback=True)


def test_a_key_of_the_gemini_api_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's variable of keys mostly holds one of these; a key is one that the table names."""
    monkeypatch.setenv("GOOGLE_API_KEY", "AIza-of-another-api")

    assert provider_config("vertex", table(project="pictures-1234"), TYPES).upstream.keys == ()


def test_a_key_needs_neither_project_nor_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Express mode."""
    monkeypatch.setattr(settings, "find_spec", lambda _name: None)
    config = provider_config("vertex", table(api_key=KEY), TYPES)

    assert [key.secret.reveal() for key in config.upstream.keys] == ["k-1"]
    assert config.http is not None
    assert config.http.base_url == EXPRESS


@pytest.mark.parametrize("missing", ["google", "google.auth", "a project"])
def test_without_a_key_the_other_way_is_told(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """The error at the start names the extra and the project."""
    monkeypatch.setattr(settings, "find_spec", lambda name: None if name == missing else name)
    keys = {} if missing == "a project" else {"project": "pictures-1234"}

    assert key_required(VertexSettings(**keys))
    with pytest.raises(
        ConfigError, match=r"vertex\.api_key: is required(.|\n)*imagegen-server\[vertex\](.|\n)*PROJECT"
    ):
        provider_config("vertex", table(**keys), TYPES)


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("", "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("northamerica-northeast1", "northamerica-northeast1-aiplatform.googleapis.com"),
    ],
)
def test_hosts_by_location(location: str, host: str) -> None:
    """As the vendor's pages name them."""
    assert base_url_of(VertexSettings("p", location)) == f"https://{host}"


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"location": "evil.example/"}, r"^providers\.vertex(\.location)?: .*location"),
        ({"location": "Europe-West4"}, "location"),
        ({"location": "us-central1\n"}, "location"),
        ({"project": "a/b"}, r"^providers\.vertex(\.project)?: .*project"),
        ({"project": "../x"}, "project"),
        ({"api_version": "v1/x"}, "api_version"),
        ({"api_version": ""}, "api_version"),
        ({"zone": "x"}, r"providers\.vertex\.zone"),
    ],
)
def test_what_is_wrong_is_told_at_the_start(keys: dict[str, Any], what: str) -> None:
    """By the name of the setting: tokens go to what these make up."""
    with pytest.raises(ConfigError, match=what):
        provider_config("vertex", table(**{"project": "p", **keys}), TYPES)


@pytest.mark.parametrize(
    ("location", "base_url", "host"),
    [
        ("europe-west4", "", "aiplatform.googleapis.com"),
        ("global", "", "aiplatform.googleapis.com"),
        ("eu", "https://gateway.example", "gateway.example"),
    ],
)
async def test_express_mode_is_global(location: str, base_url: str, host: str) -> None:
    """Whatever the location, as its paths name none; but an address of the operator's own stays."""
    chosen = VertexSettings("p", location)
    provider = PROVIDER.build("vertex", chosen)
    assert isinstance(provider, Vertex)
    http = HttpClient(HttpSettings(base_url or base_url_of(chosen)))
    access, models = provider.access(http, Secret("k-1"))

    assert access.http.host == host
    assert models == "/v1/publishers/google/models"
    await http.close()


def test_nothing_is_imported_before_it_is_needed() -> None:
    """Naming the provider costs nothing at start-up, and setting it up needs no package of the vendor."""
    code = (
        "import sys; from imagegen_server.providers.vertex import PROVIDER, VertexSettings\n"
        "assert 'imagegen_server.providers.vertex.provider' not in sys.modules\n"
        "assert not any(name.startswith('imagegen_server.providers.google.') for name in sys.modules)\n"
        "PROVIDER.build('vertex', VertexSettings('p'))\n"
        "assert 'imagegen_server.providers.vertex.provider' in sys.modules\n"
        "assert 'google.auth' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Providers that are reached by HTTP: their shared keys, and those that are there without a table."""

from pathlib import Path
from typing import Any

import pytest
import trustme
from imagegen_server.config import Config, ProviderConfig, load_config
from imagegen_server.config.providers import RemoteTable
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.fair_queue import QueueSettings
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.transport import HttpSettings

from tests.support.remotes import KEY, REMOTES, Account, Nothing
from tests.support.settings import complaint, keys, write

BEYOND_LOOPBACK = '[server]\nlisten = "0.0.0.0:1"\nallow_insecure = true\n'
PREFIX = "IMAGEGEN__PROVIDERS__"
EVERYTHING = UpstreamSettings(
    keys=(ProviderKey(Secret(KEY)),),
    key_strategy="weighted",
    retry=RetrySettings("token_bucket", 6, 7.0, 8.0, ambiguous=True, capacity=9, per_second=0.5),
    queue=QueueSettings(3, 4, 5),
)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no proxy but that of the test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a key in the usual variable."""
    monkeypatch.setenv("FAR_API_KEY", KEY)


def read(folder: Path, text: str, **options: Any) -> Config:
    """Load a file."""
    return load_config(REMOTES, path=write(folder, text), **options)


def refused(folder: Path, text: str) -> list[str]:
    """List what a file is refused for."""
    return complaint(lambda: read(folder, text))


def names(config: Config) -> list[tuple[str, str]]:
    """Name the providers and their types."""
    return [(item.name, item.type.name) for item in config.providers]


def secrets(provider: ProviderConfig) -> list[Secret]:
    """List the keys of a provider."""
    return [key.secret for key in provider.upstream.keys]


@pytest.mark.usefixtures("key")
def test_a_table_without_keys_has_the_defaults(tmp_path: Path) -> None:
    """The address and the variable of the type, and nothing of our own in between."""
    (provider,) = read(tmp_path, "[providers.far]").providers

    assert provider.http == HttpSettings("https://far.example/v1")
    assert provider.http.engine == "aiohttp"
    assert provider.upstream == UpstreamSettings((ProviderKey(Secret(KEY)),))
    assert (provider.settings, provider.timeout) == (Account(), 600.0)


def test_a_file_sets_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of every provider, of every remote one, and of the type."""
    monkeypatch.setenv("OTHER", KEY)
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)

    (provider,) = read(
        tmp_path,
        f"""
        [providers.far]
        timeout = "30s"
        account = "me"
        base_url = "http://127.0.0.1:1/v2"
        api_key = {{env = "OTHER"}}
        headers = {{X-Title = "shop", x-empty = ""}}
        key_strategy = "weighted"
        concurrency = 3
        queue = 4
        requests_per_minute = 5
        retry.strategy = "token_bucket"
        retry.max_attempts = 6
        retry.base_delay = "7s"
        retry.max_delay = "8s"
        retry.ambiguous = true
        retry.capacity = 9
        retry.per_second = 0.5
        proxy = "http://user:word@127.0.0.1:2"
        ca = "{ca}"
        engine = "httpx"
        """,
    ).providers

    assert provider.http == HttpSettings(
        base_url="http://127.0.0.1:1/v2",
        headers={"X-Title": "shop", "x-empty": ""},
        proxy="http://user:word@127.0.0.1:2",
        ca=str(ca),
        engine="httpx",
    )
    assert provider.upstream == EVERYTHING
    assert (provider.settings, provider.timeout) == (Account("me"), 30.0)


def test_the_environment_sets_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable for each; tables as JSON, or one variable for each of their keys."""
    monkeypatch.setenv("OTHER", KEY)
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    for name, value in {
        "TYPE": "far",
        "ACCOUNT": "me",
        "BASE_URL": "http://127.0.0.1:1/v2",
        "API_KEY__ENV": "OTHER",
        "HEADERS": '{"X-Title": "shop"}',
        "KEY_STRATEGY": "weighted",
        "CONCURRENCY": "3",
        "QUEUE": "4",
        "REQUESTS_PER_MINUTE": "5",
        "RETRY__STRATEGY": "token_bucket",
        "RETRY__MAX_ATTEMPTS": "6",
        "RETRY__BASE_DELAY": "7s",
        "RETRY__MAX_DELAY": "8s",
        "RETRY__AMBIGUOUS": "true",
        "RETRY__CAPACITY": "9",
        "RETRY__PER_SECOND": "0.5",
        "PROXY": "http://127.0.0.1:2",
        "CA": str(ca),
        "ENGINE": "httpx",
    }.items():
        monkeypatch.setenv(f"{PREFIX}MINE__{name}", value)

    (provider,) = load_config(REMOTES).providers

    assert (provider.name, provider.type) == ("mine", REMOTES["far"])
    assert provider.http == HttpSettings(
        "http://127.0.0.1:1/v2", {"X-Title": "shop"}, "http://127.0.0.1:2", str(ca), "httpx"
    )
    assert (provider.upstream, provider.settings) == (EVERYTHING, Account("me"))


@pytest.mark.usefixtures("key")
def test_a_header_may_be_a_variable_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that would be a number in JSON is written as JSON."""
    monkeypatch.setenv(f"{PREFIX}FAR__HEADERS__TITLE", "shop")
    monkeypatch.setenv(f"{PREFIX}FAR__HEADERS__YEAR", '"2024"')

    (provider,) = load_config(REMOTES).providers

    assert provider.http is not None
    assert provider.http.headers == {"title": "shop", "year": "2024"}


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base_url = 3", "base_url"),
        ("base_url = 'far.example/v1'", "base_url"),
        ("base_url = 'ftp://far.example'", "base_url"),
        ("base_url = 'https://'", "base_url"),
        ("base_url = 'https://far.example:port'", "base_url"),
        ("base_url = 'https://far.example/?a=b'", "base_url"),
        ("base_url = 'https://far.example/#a'", "base_url"),
        ("base_url = 'https://user:hunter2@far.example'", "base_url"),
        ("headers = 'hunter2'", "headers"),
        ("headers = {'X Title' = 'hunter2'}", "headers"),
        ("headers = {'' = 'hunter2'}", "headers"),
        ('headers = {X-Title = "hunter2\\nX: y"}', "headers"),
        ("headers = {X-Title = 'hunter2 ü'}", "headers"),
        ("headers = {Content-Length = '1'}", "headers"),
        ("headers = {X-Title = 2}", "headers.X-Title"),
        ("headers = {X-Title = ['hunter2']}", "headers.X-Title"),
        ("concurrency = 0", "concurrency"),
        ("concurrency = -1", "concurrency"),
        ("concurrency = 1.5", "concurrency"),
        ("concurrency = 'many'", "concurrency"),
        ("queue = -1", "queue"),
        ("requests_per_minute = 0", "requests_per_minute"),
        ("retry = 'none'", "retry"),
        ("retry.strategy = 'hope'", "retry.strategy"),
        ("retry.max_attempts = 0", "retry.max_attempts"),
        ("retry.base_delay = 1", "retry.base_delay"),
        ("retry.max_delay = '0s'", "retry.max_delay"),
        ("retry.ambiguous = 'perhaps'", "retry.ambiguous"),
        ("retry.capacity = 0", "retry.capacity"),
        ("retry.per_second = 0", "retry.per_second"),
        ("retry.per_second = inf", "retry.per_second"),
        ("retry.delay = '1s'", "retry.delay"),
        ("proxy = 3", "proxy"),
        ("proxy = 'http://127.0.0.1:port'", "proxy"),
        ("proxy = 'http://'", "proxy"),
        ("proxy = 'socks5://user:hunter2@127.0.0.1:1'", "proxy"),
        ("ca = true", "ca"),
        ("ca = '/no/such/file.pem'", "ca"),
        ("engine = 'curl'", "engine"),
        ("engine = 1", "engine"),
        ("account = 1", "account"),
        ("acount = 'hunter2'", "acount"),
        ("timeout = 3", "timeout"),
    ],
)
def test_a_wrong_value_is_named_by_its_key_and_not_shown(tmp_path: Path, text: str, expected: str) -> None:
    """Before anything is served, and without what may be a password."""
    (line,) = refused(tmp_path, f"[providers.far]\n{text}")

    assert keys([line]) == [f"providers.far.{expected}"]
    assert "hunter2" not in line


@pytest.mark.usefixtures("key")
def test_a_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    """And not by the first request."""
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")

    (line,) = refused(tmp_path, f"[providers.far]\nca = '{empty}'")

    assert line.startswith("providers.far.ca: ")
    assert str(empty) in line


@pytest.mark.usefixtures("key")
def test_a_proxy_of_the_environment_that_cannot_be_used_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless NO_PROXY, or a proxy of the table's own, says that it is not used."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    assert keys(complaint(lambda: load_config(REMOTES))) == ["providers.far.proxy"]

    monkeypatch.setenv(f"{PREFIX}FAR__PROXY", "http://127.0.0.1:1")
    assert names(load_config(REMOTES)) == [("far", "far")]

    monkeypatch.delenv(f"{PREFIX}FAR__PROXY")
    monkeypatch.setenv("NO_PROXY", "far.example")
    assert names(load_config(REMOTES)) == [("far", "far")]


def test_all_wrong_keys_are_told_at_once(tmp_path: Path) -> None:
    """Unknown ones, those of the type, the address and the missing key, of every provider."""
    lines = refused(
        tmp_path,
        "[providers.far]\nbase_url = 'x'\naccount = 1\ncolour = 2\n[providers.house]\n[providers.vault]\nengine = 'x'",
    )

    assert keys(lines) == [
        "providers.far.colour",
        "providers.far.account",
        "providers.far.base_url",
        "providers.far.api_key",
        "providers.house.base_url",
        "providers.vault.engine",
    ]


@pytest.mark.parametrize("name", RemoteTable.model_fields)
def test_a_provider_that_is_not_reached_by_http_refuses_the_keys_of_those_that_are(tmp_path: Path, name: str) -> None:
    """A key that would do nothing is a fault."""
    (line,) = refused(tmp_path, f"[providers.local]\n{name} = 'x'")

    assert line == (
        f"providers.local.{name}: is no such key; there are "
        "concurrency, queue, requests_per_minute, retry, timeout, type"
    )


def test_a_provider_that_is_not_reached_by_http_has_neither_client_nor_key(tmp_path: Path) -> None:
    """Nothing is read for it."""
    (provider,) = read(tmp_path, "[providers.local]").providers

    assert (provider.http, provider.upstream, provider.settings) == (None, UpstreamSettings(), Nothing())


def test_a_provider_that_is_not_reached_by_http_has_its_limits_too(tmp_path: Path) -> None:
    """Requests at a time, those that wait, and repetitions are everybody's business."""
    (provider,) = read(tmp_path, "[providers.local]\nconcurrency = 2\nqueue = 0\nretry.strategy = 'none'").providers

    assert provider.upstream == UpstreamSettings(retry=RetrySettings("none"), queue=QueueSettings(2, 0))


def test_an_unknown_key_is_answered_with_those_there_are(tmp_path: Path) -> None:
    """Those of every provider, of every remote one and of the type."""
    (line,) = refused(tmp_path, "[providers.house]\nbase_url = 'http://127.0.0.1'\nurl = 'x'")

    assert line == (
        "providers.house.url: is no such key; there are "
        "account, api_key, base_url, ca, concurrency, engine, headers, key_strategy, proxy, queue, "
        "requests_per_minute, retry, timeout, type"
    )


def test_without_a_usual_address_it_must_be_given(tmp_path: Path) -> None:
    """The message says so, and with the address it loads; this type needs no key."""
    assert refused(tmp_path, "[providers.house]") == ["providers.house.base_url: is required"]
    assert refused(tmp_path, "[providers.house]\nbase_url = ''") == ["providers.house.base_url: is required"]

    (provider,) = read(tmp_path, "[providers.house]\nbase_url = 'http://127.0.0.1:1'").providers
    assert (provider.http, provider.upstream.keys) == (HttpSettings("http://127.0.0.1:1"), ())


def test_a_missing_key_is_answered_with_what_to_do(tmp_path: Path) -> None:
    """The usual variable if the type has one, and the ways to say where the key is."""
    (far,) = refused(tmp_path, "[providers.far]")
    (vault,) = refused(tmp_path, "[providers.vault]")

    assert far.startswith("providers.far.api_key: is required; set FAR_API_KEY, or ")
    assert vault.startswith("providers.vault.api_key: is required; ")
    assert "_API_KEY" not in vault
    for line in (far, vault):
        assert line.endswith('{env = "NAME"}, {file = "PATH"} or {command = ["PROGRAM", "ARGUMENT"]}')


@pytest.mark.usefixtures("key")
def test_a_key_in_the_environment_sets_the_provider_up(tmp_path: Path) -> None:
    """Without a table, and whoever can reach the server."""
    (provider,) = load_config(REMOTES).providers
    assert (provider.name, provider.type, secrets(provider)) == ("far", REMOTES["far"], [Secret(KEY)])

    assert names(read(tmp_path, BEYOND_LOOPBACK, allow_insecure=True)) == [("far", "far")]


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_an_empty_key_in_the_environment_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A variable without a key sets nothing up, and does not stand for one where a table wants it."""
    monkeypatch.setenv("FAR_API_KEY", value)

    assert load_config(REMOTES).providers == ()
    (line,) = refused(tmp_path, "[providers.far]")
    assert line.startswith("providers.far.api_key: is required; set FAR_API_KEY")


@pytest.mark.usefixtures("key")
def test_a_table_stands_instead_of_the_implicit_provider_of_its_name(tmp_path: Path) -> None:
    """Also if it is of another type; a table of another name comes beside it."""
    assert names(read(tmp_path, "[providers.far]\ntimeout = '1s'")) == [("far", "far")]
    assert names(read(tmp_path, "[providers.far]\ntype = 'local'")) == [("far", "local")]
    assert names(read(tmp_path, "[providers.mine]\ntype = 'far'")) == [("mine", "far"), ("far", "far")]


@pytest.mark.usefixtures("key")
def test_tables_of_one_type_are_different_providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own address and key; one without api_key has that of the usual variable."""
    monkeypatch.setenv("SECOND", "second")

    usual, second = read(
        tmp_path,
        """
        [providers.far]
        concurrency = 2
        [providers.second]
        type = "far"
        base_url = "https://second.example"
        api_key = {env = "SECOND"}
        """,
    ).providers

    assert (usual.http, secrets(usual)) == (HttpSettings("https://far.example/v1"), [Secret(KEY)])
    assert (second.http, secrets(second)) == (HttpSettings("https://second.example"), [Secret("second")])
    assert (usual.upstream.queue.concurrency, second.upstream.queue.concurrency) == (2, 64)


@pytest.mark.usefixtures("key")
def test_a_vendors_key_goes_to_no_other_host_because_a_line_was_left_out(tmp_path: Path) -> None:
    """A table of another name with an address of its own needs a key of its own; the vendor's own table does not."""
    elsewhere = "base_url = 'https://second.example'"
    (line,) = refused(tmp_path, f"[providers.second]\ntype = 'far'\n{elsewhere}")
    assert line.startswith("providers.second.api_key: is required beside base_url; ")

    (relayed,) = read(tmp_path, f"[providers.far]\n{elsewhere}").providers
    assert secrets(relayed) == [Secret(KEY)]


@pytest.mark.usefixtures("key")
def test_an_alias_may_mean_a_provider_whose_key_is_in_the_environment(tmp_path: Path) -> None:
    """It is configured like any other."""
    assert read(tmp_path, "[aliases]\ndraft = 'far/best'").aliases == {"draft": ("far/best",)}


def test_a_provider_that_connects_by_itself_has_a_key_and_no_http(tmp_path: Path, key: None) -> None:
    """Its table has its own keys and those of keys; the others of remote providers are no keys of it."""
    text = '[providers.peer]\naccount = "a"\napi_key = {env = "FAR_API_KEY"}'
    (peer,) = (one for one in read(tmp_path, text).providers if one.name == "peer")
    assert (peer.http, secrets(peer)) == (None, [Secret(KEY)])

    assert refused(tmp_path, "[providers.peer]") == ["providers.peer.account: is required"]
    (line,) = refused(tmp_path, '[providers.peer]\naccount = "a"\nproxy = "http://p:1"')
    assert line.startswith("providers.peer.proxy: is no such key")

"""[store]: how a store that servers share is reached."""

from pathlib import Path

import pytest
from imagegen_server.config import Config, load_config

from tests.support.settings import TYPES, complaint, write

PASSWORD = "hunter2-secret"


def load(folder: Path, text: str) -> Config:
    """Read a [store] table."""
    return load_config(TYPES, path=write(folder, "[store]\n" + text))


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://127.0.0.1:6379/2",
        "redis://user@redis.internal:6380",
        "redis://[::1]:6379/0",
        "rediss://redis.internal:6379/0",
        "unix:///run/redis/redis.sock",
    ],
)
def test_a_redis_is_shared(tmp_path: Path, url: str) -> None:
    """By TCP, TLS or a socket, with a user and a database or without."""
    store = load(tmp_path, f'url = "{url}"').store

    assert (store.url, store.shared, store.prefix) == (url, True, "imagegen")
    assert not load(tmp_path, "").store.shared


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgres://x", "is no store that there is"),
        ("localhost:6379", "is no store that there is"),
        ("redis://", "names no host"),
        ("redis://:6379", "names no host"),
        ("redis://x/first", "names no database"),
        ("redis://x:99999", "is no URL"),
        ("redis://x:0", "no port 0"),
        ("redis://x/0?password=" + PASSWORD, "has more to it"),
        ("unix://run/redis.sock", "names no socket"),
        ("unix://", "names no socket"),
    ],
)
def test_a_url_that_leads_to_no_redis_is_refused(tmp_path: Path, url: str, why: str) -> None:
    """With what is wrong and how they are written, and without the URL itself."""
    (line,) = complaint(lambda: load(tmp_path, f'url = "{url}"'))

    assert line.startswith("store.url: ")
    assert why in line
    assert "redis://HOST:6379/0" in line
    assert PASSWORD not in line


@pytest.mark.parametrize("url", [f"redis://:{PASSWORD}@x", f"rediss://user:{PASSWORD}@x:6379/0"])
def test_a_password_in_the_url_is_refused(tmp_path: Path, url: str) -> None:
    """It would be shown: it is named where it is, and not repeated."""
    (line,) = complaint(lambda: load(tmp_path, f'url = "{url}"'))

    assert "store.password = {env" in line
    assert PASSWORD not in line


def test_the_password_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows in nothing that is made of the settings; one that is not there is a fault."""
    text = 'url = "redis://x"\npassword = {env = "REDIS_PASSWORD"}'
    (line,) = complaint(lambda: load(tmp_path, text))
    monkeypatch.setenv("REDIS_PASSWORD", PASSWORD)
    store = load(tmp_path, text).store
    secret = store.read()

    assert line == "store.password: the environment variable REDIS_PASSWORD is empty or not set"
    assert secret is not None
    assert secret.reveal() == PASSWORD
    assert PASSWORD not in repr(store) + repr(secret)


@pytest.mark.parametrize(
    ("text", "said"), [(None, "ca.pem cannot be read: No such file"), ("no PEM", "holds no certificate in PEM")]
)
def test_authorities_that_are_none_are_refused(tmp_path: Path, text: str | None, said: str) -> None:
    """When the settings are read, by their key."""
    ca = tmp_path / "ca.pem"
    if text is not None:
        ca.write_text(text)

    (line,) = complaint(lambda: load(tmp_path, f'url = "rediss://x"\nca = "{ca}"'))

    assert line.startswith("store.ca: ")
    assert said in line


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('prefix = "x"', "store.prefix"),
        ('password = {env = "HOME"}', "store.password"),
        ('ca = "ca.pem"', "store.ca"),
        ('url = "redis://x"\nca = "ca.pem"', "store.ca"),
        ('url = "redis://x"\nprefix = "a b"', "store.prefix"),
        ('url = "redis://x"\nprefix = ""', "store.prefix"),
        ('url = "redis://x"\npassword = "in clear"', "store.password"),
    ],
)
def test_what_has_no_effect_is_refused(tmp_path: Path, text: str, key: str) -> None:
    """Nothing that somebody wrote is left out without a word."""
    assert [line.partition(":")[0] for line in complaint(lambda: load(tmp_path, text))] == [key]

"""[fetch]: what may be fetched from URLs."""

from pathlib import Path

import pytest
from imagegen_server.config import Config, load_config
from imagegen_server.http.guarded_fetch import FetchSettings

from tests.support.settings import TYPES, complaint, write


def read(folder: Path, text: str) -> Config:
    """Load a file."""
    return load_config(TYPES, path=write(folder, text))


def test_by_default_nothing_is_allowed() -> None:
    """Public addresses only, for half a minute."""
    assert load_config(TYPES).fetch == FetchSettings(allow=(), max_seconds=30.0)


def test_a_file_sets_every_key(tmp_path: Path) -> None:
    """Hosts, ports and networks as they are written, and a duration."""
    text = '[fetch]\nallow = ["cdn.internal", "*.corp.example:8080", "10.1.0.0/16", "[fd00::1]:80"]\ntimeout = "250ms"'

    assert read(tmp_path, text).fetch == FetchSettings(
        ("cdn.internal", "*.corp.example:8080", "10.1.0.0/16", "[fd00::1]:80"), 0.25
    )


def test_the_environment_sets_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list as JSON."""
    monkeypatch.setenv("IMAGEGEN__FETCH__ALLOW", '["cdn.internal", "10.1.0.0/16"]')
    monkeypatch.setenv("IMAGEGEN__FETCH__TIMEOUT", "7s")

    assert load_config(TYPES).fetch == FetchSettings(("cdn.internal", "10.1.0.0/16"), 7.0)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('allow = ["a.example", "http://a.example"]', ["fetch.allow.1: 'http://a.example': "]),
        ('allow = ["10.0.0.1/8", "*"]', ["fetch.allow.0: '10.0.0.1/8': ", "fetch.allow.1: '*': "]),
        ('allow = "cdn.internal"', ["fetch.allow: "]),
        ("allow = [3]", ["fetch.allow.0: "]),
        ('timeout = "0s"', ["fetch.timeout: "]),
        ("timeout = 30", ["fetch.timeout: "]),
        ("deny = []", ["fetch.deny: is no such key"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, lines: list[str]) -> None:
    """By key and place in the list."""
    told = complaint(lambda: read(tmp_path, f"[fetch]\n{text}"))

    assert len(told) == len(lines)
    assert all(line.startswith(start) for line, start in zip(told, lines, strict=True))

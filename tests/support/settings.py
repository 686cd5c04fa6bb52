"""Configuration files, and provider types that need no installed distribution."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from imagegen_server.config import ConfigError
from imagegen_server.providers.base import ProviderType

from .provider import ScriptedProvider


@dataclass(frozen=True)
class Tuning:
    """The keys of a provider's own."""

    workers: int = 2
    base_url: str = ""


def provider_type(name: str, *, implicit: bool = False) -> ProviderType[Tuning]:
    """Make a type of providers."""
    return ProviderType(name, Tuning, lambda _name, _settings: ScriptedProvider(), implicit_on_loopback=implicit)


TYPES = {"remote": provider_type("remote"), "sandbox": provider_type("sandbox", implicit=True)}


def write(folder: Path, text: str) -> Path:
    """Write a configuration file."""
    file = folder / "imagegen.toml"
    file.write_text(text, encoding="utf-8")
    return file


def complaint(load: Callable[[], object]) -> list[str]:
    """List what a configuration is refused for, a line for each wrong key."""
    with pytest.raises(ConfigError) as caught:
        load()
    return str(caught.value).splitlines()


def keys(lines: list[str]) -> list[str]:
    """Take the keys that stand before the colons."""
    return [line.partition(": ")[0] for line in lines]

"""A token that would not be safe on its way is refused before the server starts."""

from pathlib import Path

import pytest
from imagegen_server.app import build_providers
from imagegen_server.config import Config, ConfigError, load_config
from imagegen_server.providers.imagegen import PROVIDER

from tests.support.callers import TOKEN
from tests.support.settings import complaint, write


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a token in the environment."""
    monkeypatch.setenv("FAR_TOKEN", TOKEN)


def read(folder: Path, *lines: str) -> Config:
    """Load the table of a server `far` with a token."""
    table = ["[providers.far]", 'type = "imagegen"', 'api_key = {env = "FAR_TOKEN"}', *lines]
    return load_config({PROVIDER.name: PROVIDER}, path=write(folder, "\n".join(table)))


def test_a_token_in_clear_text_beyond_this_machine_is_refused(tmp_path: Path) -> None:
    """With the name of the key that is to be set, and without the token."""
    (line,) = complaint(lambda: read(tmp_path, 'address = "far.example:50051"'))

    assert line.startswith("providers.far.tls: ")
    assert "far.example:50051" in line
    assert TOKEN not in line


@pytest.mark.parametrize(
    "lines",
    [
        ['address = "far.example:50051"', "tls = true"],
        ['address = "127.0.0.1:50051"'],
        ['address = "[::1]:50051"'],
        ['address = "unix:/run/far.sock"'],
    ],
)
def test_a_token_over_tls_or_on_this_machine_is_taken(tmp_path: Path, lines: list[str]) -> None:
    """The client takes it, too."""
    (provider,) = read(tmp_path, *lines).providers

    assert [key.secret.reveal() for key in provider.upstream.keys] == [TOKEN]
    build_providers(read(tmp_path, *lines))


def test_an_address_that_is_none_is_told_as_that(tmp_path: Path) -> None:
    """Not as a matter of the token."""
    config = read(tmp_path, 'address = "https://far.example"')

    with pytest.raises(ConfigError, match=r"^providers\.far: cannot be set up: the address is host:port"):
        build_providers(config)

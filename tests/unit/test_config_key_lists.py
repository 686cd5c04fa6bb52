"""Several keys of one provider, their weights, and what is read again."""

import json
import sys
from pathlib import Path

import pytest
from imagegen_server.config import Config, ConfigError, load_config
from imagegen_server.domain.secret import Secret

from tests.support.remotes import REMOTES
from tests.support.settings import complaint, keys, write


def load(folder: Path, api_key: object, strategy: str = "round_robin") -> Config:
    """Load a file whose provider has these keys."""
    text = f"[providers.far]\nkey_strategy = '{strategy}'\napi_key = {toml(api_key)}"
    return load_config(REMOTES, path=write(folder, text))


def toml(value: object) -> str:
    """Write a value; of what is needed here, all but tables and lists is the same in JSON."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} = {toml(item)}' for name, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


def test_a_key_of_a_file_or_a_command_can_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is then what is there now; what is wrong with it is told as at the start. A variable does not change."""
    kept = tmp_path / "key"
    kept.write_text("first")
    monkeypatch.setenv("MINE", "mine")
    script = f"print(open({str(kept)!r}).read().strip() + '!')"
    references = [{"env": "MINE"}, {"file": str(kept)}, {"command": [sys.executable, "-S", "-c", script]}]

    (provider,) = load(tmp_path, references).providers
    in_env, in_file, printed = provider.upstream.keys
    kept.write_text("second\n")

    assert (in_file.secret, printed.secret) == (Secret("first"), Secret("first!"))
    assert in_env.reload is None
    assert in_file.reload is not None
    assert printed.reload is not None
    assert (in_file.reload(), printed.reload()) == (Secret("second"), Secret("second!"))
    kept.write_text("")
    with pytest.raises(ConfigError, match=r"^providers\.far\.api_key\.1: the file is empty$"):
        in_file.reload()


def test_a_list_has_keys_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of any kind, with a weight if they are weighted, and else 1."""
    monkeypatch.setenv("MINE", "mine")

    config = load(tmp_path, [{"env": "MINE", "weight": 2.5}, {"command": ["echo", "yours"]}], "weighted")

    (provider,) = config.providers
    assert provider.upstream.key_strategy == "weighted"
    assert [(key.secret.reveal(), key.weight) for key in provider.upstream.keys] == [("mine", 2.5), ("yours", 1.0)]


def test_a_list_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON."""
    monkeypatch.setenv("MINE", "mine")
    monkeypatch.setenv("YOURS", "yours")
    monkeypatch.setenv("IMAGEGEN__PROVIDERS__FAR__API_KEY", '[{"env": "MINE"}, {"env": "YOURS"}]')

    (provider,) = load_config(REMOTES).providers

    assert [key.secret.reveal() for key in provider.upstream.keys] == ["mine", "yours"]


@pytest.mark.parametrize(
    ("api_key", "strategy", "expected"),
    [
        ([], "round_robin", ["api_key"]),
        ([{"env": "MINE"}, {"env": "NONE"}, "hunter2"], "round_robin", ["api_key.1", "api_key.2"]),
        ([{"env": "MINE"}, {"env": "MINE", "fil": "x"}], "round_robin", ["api_key.1.fil"]),
        ([[{"env": "MINE"}]], "round_robin", ["api_key.0"]),
        ([{"env": "MINE"}, {"env": "YOURS"}, {"env": "SAME"}], "round_robin", ["api_key.2"]),
        ([{"env": "MINE", "weight": 2}, {"env": "YOURS"}], "round_robin", ["api_key.0.weight"]),
        ({"env": "MINE", "weight": 2}, "round_robin", ["api_key.weight"]),
        ([{"env": "MINE", "weight": 0}, {"env": "YOURS"}], "weighted", ["api_key.0.weight"]),
        ([{"env": "MINE", "weight": -1}], "weighted", ["api_key.0.weight"]),
        ({"env": "MINE", "weight": "many"}, "weighted", ["api_key.weight"]),
        ({"env": "MINE"}, "random", ["key_strategy"]),
    ],
    ids=str,
)
def test_wrong_keys_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api_key: object, strategy: str, expected: list[str]
) -> None:
    """Each reference by its place; one key twice, and a weight that would do nothing, are mistakes."""
    for name, value in {"MINE": "hunter2", "YOURS": "yours", "SAME": " hunter2\n"}.items():
        monkeypatch.setenv(name, value)

    lines = complaint(lambda: load(tmp_path, api_key, strategy))

    assert keys(lines) == [f"providers.far.{key}" for key in expected]
    assert "hunter2" not in str(lines)

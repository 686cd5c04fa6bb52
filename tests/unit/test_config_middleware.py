"""[middleware.NAME]: what is set up, in which order, and what is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from imagegen_server import app
from imagegen_server.config import Config, ConfigError, load_config
from imagegen_server.generation.middleware import Context, Middleware
from imagegen_server.generation.middleware_types import MiddlewareType
from imagegen_server.store.persist import MIDDLEWARE as PERSIST
from imagegen_server.telemetry.generation_log import MIDDLEWARE as LOG

from tests.support.settings import TYPES, complaint, keys, write


@dataclass(frozen=True)
class Words:
    """Keys of a middleware's own."""

    words: tuple[str, ...]
    strict: bool = False


class Guard(Middleware):
    """Keeps its settings."""

    def __init__(self, name: str, settings: Words) -> None:
        """Refuse to guard nothing."""
        super().__init__(name)
        self.settings = settings
        if not settings.words:
            raise ValueError("words: are none")


GUARD = MiddlewareType("guard", Words, Guard)
MIDDLEWARE: dict[str, MiddlewareType[Any]] = {"guard": GUARD, "log": LOG, "persist": PERSIST}


def load(folder: Path, text: str) -> Config:
    """Read a file with these types installed."""
    return load_config(TYPES, path=write(folder, text), middleware=MIDDLEWARE)


def names(config: Config) -> list[str]:
    """Name what is set up."""
    return [one.name for one in config.middleware]


def test_without_tables_there_is_the_log() -> None:
    """And nothing else; where no middleware is installed, not even that."""
    assert names(load_config(TYPES, middleware=MIDDLEWARE)) == ["log"]
    assert names(load_config(TYPES)) == []


def test_the_order_is_that_of_the_file(tmp_path: Path) -> None:
    """What is there by default goes first, unless it has a table and with it a place; one type may stand twice."""
    tables = '[middleware.zeta]\ntype = "guard"\nwords = ["a"]\n[middleware.guard]\nwords = ["b"]\nstrict = true\n'

    assert names(load(tmp_path, tables)) == ["log", "zeta", "guard"]
    assert names(load(tmp_path, tables + "[middleware.log]\n")) == ["zeta", "guard", "log"]
    assert [one.settings for one in load(tmp_path, tables).middleware[1:]] == [
        Words(("a",)),
        Words(("b",), strict=True),
    ]


@pytest.mark.parametrize("name", ["log", "guard"])
def test_a_middleware_can_be_switched_off(name: str, tmp_path: Path) -> None:
    """One that is there by default, and one whose table is kept for another day."""
    config = load(tmp_path, f'[middleware.{name}]\nenabled = false\n[middleware.other]\ntype = "guard"\nwords = []\n')

    assert name not in names(config)
    assert "other" in names(config)


def test_the_environment_switches_off_and_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the file keep their places; those that only the environment has come after them."""
    monkeypatch.setenv("IMAGEGEN__MIDDLEWARE__LOG__ENABLED", "false")
    monkeypatch.setenv("IMAGEGEN__MIDDLEWARE__PERSIST__DIRECTORY", str(tmp_path))
    monkeypatch.setenv("IMAGEGEN__MIDDLEWARE__GUARD__STRICT", "true")

    config = load(tmp_path, '[middleware.other]\ntype = "guard"\nwords = []\n[middleware.guard]\nwords = ["a"]\n')

    assert names(config) == ["other", "guard", "persist"]
    assert config.middleware[1].settings == Words(("a",), strict=True)


def test_every_wrong_key_is_named(tmp_path: Path) -> None:
    """Unknown types and keys, values of a wrong type, keys that are missing; with those of other tables."""
    lines = complaint(
        lambda: load(
            tmp_path,
            """
            [middleware.unheard]
            [middleware.persist]
            prompts = "perhaps"
            depth = 3
            [middleware.log]
            level = 3
            [aliases]
            draft = "nowhere/x"
            """,
        )
    )

    assert sorted(keys(lines)) == [
        "aliases.draft",
        "middleware.log.level",
        "middleware.persist.depth",
        "middleware.persist.directory",
        "middleware.persist.prompts",
        "middleware.unheard.type",
    ]
    assert "installed are guard, log, persist" in " ".join(lines)
    assert "there are directory, enabled, prompts, type" in " ".join(lines)


def test_what_a_middleware_refuses_is_a_fault_of_its_table(tmp_path: Path) -> None:
    """With the name of the table, before anything is served."""
    (tmp_path / "file").touch()
    text = f'[middleware.persist]\ndirectory = "{tmp_path / "file"}"'

    with pytest.raises(ConfigError, match=r"^middleware\.persist: cannot be set up: directory: .* is no directory"):
        app.build_middleware(load(tmp_path, text))
    with pytest.raises(ConfigError, match=r"^middleware\.guard: cannot be set up: words: are none"):
        app.build_middleware(load(tmp_path, "[middleware.guard]\nwords = []"))


def test_the_chain_is_that_of_the_configuration(tmp_path: Path) -> None:
    """In its order, under its names."""
    chain = app.build_middleware(load(tmp_path, '[middleware.last]\ntype = "guard"\nwords = ["a"]'))

    assert chain.names == ("log", "last")


def test_a_hook_that_is_no_coroutine_is_a_fault_of_its_table(tmp_path: Path) -> None:
    """A mistake of whoever wrote it shows at the start."""

    class Wrong(Guard):
        def on_end(self, context: Context) -> None:  # type: ignore[override]
            """Do nothing."""

    config = load_config(
        TYPES,
        path=write(tmp_path, '[middleware.wrong]\nwords = ["a"]'),
        middleware={"wrong": MiddlewareType("wrong", Words, Wrong)},
    )

    with pytest.raises(ConfigError, match=r"^middleware\.wrong: cannot be set up: on_end must be written with async"):
        app.build_middleware(config)

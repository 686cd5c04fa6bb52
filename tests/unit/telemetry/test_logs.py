"""Log lines: what reaches a terminal, and what a program reads."""

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.telemetry.logs import configure_logs

EVIL = "\x1b]0;owned\x07"


class _Odd:
    def __repr__(self) -> str:
        return f"<{EVIL}>"


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def line(capsys: pytest.CaptureFixture[str], event: str, *, as_json: bool, **facts: Any) -> str:
    """Log it, and read what stands on stderr."""
    capsys.readouterr()
    configure_logs(json=as_json)
    structlog.get_logger("imagegen.test").info(event, **facts)
    return capsys.readouterr().err


@pytest.fixture
def colourless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the renderer write no control characters of its own."""
    plain = structlog.dev.ConsoleRenderer
    monkeypatch.setattr(structlog.dev, "ConsoleRenderer", lambda: plain(colors=False))


@pytest.mark.usefixtures("colourless")
@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"model": EVIL}, r"model=\x1b]0;owned\x07"),
        ({f"key{EVIL}": 1}, r"key\x1b]0;owned\x07=1"),
        ({"model": "a\nb\r\u202ec\ud800\U000e0041"}, r"model=a\nb\r\u202ec\ud800\U000e0041"),
        ({"exception": EVIL}, r"\x1b]0;owned\x07"),
        ({"ids": [EVIL]}, r"ids=['\x1b]0;owned\x07']"),
        ({"odd": _Odd()}, r"odd=<\x1b]0;owned\x07>"),
        ({"model": "größe/日本", "ids": ["ü"], "count": 2}, "count=2 ids=['ü'] model=größe/日本"),
    ],
)
def test_no_control_character_reaches_a_terminal(
    capsys: pytest.CaptureFixture[str], facts: dict[str, Any], shown: str
) -> None:
    """Neither of keys nor of values, nor in what stands for a value; what can be printed stays as it is."""
    told = line(capsys, f"event{EVIL}", as_json=False, **facts)

    assert shown in told
    assert r"event\x1b]0;owned\x07" in told
    assert told.replace("\n", "").isprintable()


@given(name=st.text(st.characters()))
def test_json_is_escaped_by_itself(name: str) -> None:
    """A line holds ASCII alone, and gives back what was said."""
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr(sys, "stderr", type("Sink", (), {"write": staticmethod(written.append), "flush": bool})())
        configure_logs(json=True)
        structlog.get_logger("imagegen.test").info("call", model=name, **{f"key{EVIL}": EVIL})
    told = "".join(written)

    assert told.rstrip("\n").isascii()
    assert told.rstrip("\n").isprintable()
    assert json.loads(told)["model"] == name
    assert json.loads(told)[f"key{EVIL}"] == EVIL


def test_every_line_of_a_worker_bears_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    """Several processes write to one stderr; who is alone has no number."""
    configure_logs(json=True, worker=2)
    structlog.get_logger("imagegen.test").info("serving")
    configure_logs(json=True)
    structlog.get_logger("imagegen.test").info("serving")
    numbered, alone = map(json.loads, capsys.readouterr().err.splitlines())

    assert numbered["worker"] == 2
    assert "worker" not in alone


def test_a_line_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of several processes that write to one stderr do not mix."""
    pieces: list[str] = []

    class Pieces(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Pieces())
    configure_logs(json=True)
    structlog.get_logger("imagegen.test").info("serving")

    [line] = pieces
    assert line.endswith("}\n")

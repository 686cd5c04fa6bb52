"""The list of behaviours is whole and true."""

import ast
from pathlib import Path

import pytest

from tests.parity.behaviours import ISSUES, ROWS, Behaviour
from tests.parity.departures import DEPARTURES

HERE = Path(__file__)
ALL = [*ROWS.values(), *DEPARTURES.values()]


def written() -> set[str]:
    """List the tests of this folder, this file's own left out."""
    return {
        f"{file.name}::{node.name}"
        for file in HERE.parent.glob("test_*.py")
        if file != HERE
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_the_list_has_every_row() -> None:
    """Rows 1 to 22 and the further departures are there, none of them left out and none of them empty."""
    assert list(ROWS) == list(range(1, 23))
    assert len(DEPARTURES) == 16
    assert all(behaviour.says for behaviour in ALL)


@pytest.mark.parametrize("behaviour", ALL, ids=[*map(str, ROWS), *DEPARTURES])
def test_every_behaviour_is_shown(behaviour: Behaviour) -> None:
    """Each names tests that exist, and what of it is still to come names the issue that brings it."""
    assert behaviour.tests
    assert set(behaviour.tests) <= written()
    assert set(behaviour.later) <= set(ISSUES)


def test_every_test_here_shows_a_behaviour() -> None:
    """No test of this folder stands outside the list."""
    assert written() == {test for behaviour in ALL for test in behaviour.tests}

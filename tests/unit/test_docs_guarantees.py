"""The guarantees page: every test that it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
SECTIONS = TEXT.split("\n## ")[1:]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0])
def test_a_promise_names_tests_that_exist(section: str) -> None:
    """Each promise is followed by tests that can be found under their names."""
    named = re.findall(r"^- `([\w/]+\.py)::(\w+)`$", section, re.MULTILINE)

    assert named
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_the_readme_leads_here() -> None:
    """Its short list says where the whole stands."""
    assert "docs/guarantees.md" in (ROOT / "README.md").read_text(encoding="utf-8")

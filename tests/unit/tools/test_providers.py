"""The page of all providers: fresh, made without keys, and with a row for each."""

import os
import re

import providers
import pytest
from imagegen_server.domain.task import Options

PAGE = (providers.ROOT / providers.PAGE).read_text(encoding="utf-8")


def test_the_page_is_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    """It is what the adapters say today; no key is in the environment, and no socket can be opened."""
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
    assert providers.main(["--check"]) == 0
    assert "fresh" in capsys.readouterr().out


@pytest.mark.parametrize("row", providers.rows(), ids=lambda row: row.kind.name)
def test_every_provider_is_in_every_table(row: providers.Row) -> None:
    """With a link to its own page, and the variable of its key."""
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| {row.link} |")]

    assert len(lines) == 3
    if row.kind.remote and row.kind.remote.key_env:
        assert f"`{row.kind.remote.key_env}`" in lines[0]


def test_every_option_has_a_column() -> None:
    """And every cell says one of the few things that are explained."""
    head, _, *cells = PAGE.partition("## Options")[2].partition("\n| ")[2].partition("\n\n")[0].splitlines()

    assert set(re.findall(r"`(\w+)`", head)) == set(Options.__slots__) - {"count", "preview_count"}
    told = {cell.strip() for line in cells for cell in line.split("|")[2:-1]}
    assert told <= {"yes", "some", "no", "by its list", "by its table", "as there", "?"}

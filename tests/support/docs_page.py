"""A page of the documentation, read so that tests can hold it against the code."""

import re

from .tools import ROOT


class Page:
    """One page under docs/."""

    def __init__(self, name: str) -> None:
        """Read it."""
        self.text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        self.sentences = " ".join(self.text.split())

    def rows(self, heading: str) -> list[list[str]]:
        """Read the first table behind a text: its cells, without its head."""
        table = self.text.partition(heading)[2].partition("\n| ")[2].partition("\n\n")[0]
        return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.splitlines()[2:]]

    def part(self, heading: str) -> str:
        """Read what stands under a heading of the second order."""
        return self.text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]

    @staticmethod
    def names(cell: str) -> list[str]:
        """Read what is written as code."""
        return re.findall(r"`([^`]+)`", cell)

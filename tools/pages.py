"""Writes generated pages, or checks that they are fresh."""

import sys
from collections.abc import Mapping
from pathlib import Path


def publish(made: Mapping[str, str], root: Path, tool: str, *, check: bool) -> int:
    """Write pages by their paths below `root`, or with `check` write nothing; returns the exit status.

    `tool` stands before every line that is printed.
    """
    stale = [name for name, text in made.items() if _written(root / name) != text]
    for name in stale:
        if check:
            print(f"{tool}: {name} is stale; run make gen", file=sys.stderr)
        else:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(made[name], encoding="utf-8", newline="\n")
            print(f"{tool}: wrote {name}")
    if not stale:
        print(f"{tool}: {len(made)} {'page is' if len(made) == 1 else 'pages are'} fresh")
    return 1 if check and stale else 0


def _written(page: Path) -> str | None:
    return page.read_text(encoding="utf-8") if page.is_file() else None

"""The command `imagegen`. It needs the extra `cli`; the library does not."""

from __future__ import annotations

import sys
from typing import Final

_NEEDED: Final = frozenset({"click", "rich", "rich_pixels", "PIL"})
_USAGE: Final = 2


def main() -> None:
    """Run the command and exit with its code; 2 and one line of help if the extra is not installed."""
    try:
        from imagegen.cli._app import app  # noqa: PLC0415 - only here can its absence be told kindly
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in _NEEDED:
            raise
        sys.stderr.write("The command needs its extra; in a clone of imagegen: pip install './clients/python[cli]'\n")
        sys.exit(_USAGE)
    app()

"""Makes the reference pages docs/api.md and docs/errors.md from the comments in proto/."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pages import publish
from protodoc.api_page import ApiPage
from protodoc.errors_page import errors_page
from protodoc.source import PageError, build, read

ROOT = Path(__file__).resolve().parent.parent


def pages(root: Path) -> dict[str, str]:
    """Make the pages of a repository, by their paths in it.

    :raises PageError: something in proto/ is not as the pages need it
    """
    api = read(build(root))
    return {"docs/api.md": ApiPage(api).text(), "docs/errors.md": errors_page(api)}


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write the pages, or check them; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is stale")
    check: bool = parser.parse_args(arguments).check
    try:
        made = pages(root)
    except PageError as problem:
        print(f"reference: {problem}", file=sys.stderr)
        return 1
    return publish(made, root, "reference", check=check)


if __name__ == "__main__":
    sys.exit(main())

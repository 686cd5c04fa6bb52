"""The page of results: README.md, whose parts stand between markers."""

from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parent / "README.md"


def put(part: str, text: str, page: Path = PAGE) -> None:
    """Put a text in the place of a part of a page: between `<!-- begin PART -->` and `<!-- end PART -->`.

    :raises ValueError: the page has no such part
    """
    begin, end = f"<!-- begin {part} -->", f"<!-- end {part} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no {begin} ... {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")

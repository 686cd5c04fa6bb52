"""Checks the links of the documentation: a relative link leads to a file of the repository, an anchor to a heading.

Prints "file:line: link: what is wrong" for each that leads nowhere. Addresses with a scheme (https:) are not asked for.
"""

import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import unquote

PAGES = re.compile(
    r"(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|docs/(.+/)?[^/]+\.md|(clients|examples|benchmarks)/(.+/)?README\.md"
)

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_LINES = re.compile(r"L(\d+)(?:C\d+)?(?:-L(\d+)(?:C\d+)?)?")
_MARKUP = re.compile(r"</?[A-Za-z][^>]*>|(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)")
_IDS = re.compile(r"<[A-Za-z][^>]*?\s(?:id|name)=[\"']([^\"']+)[\"']")
_LINKS = (
    # [text](target "title") and ![text](target), also with <target> and with parentheses in the target.
    re.compile(r"\]\(\s*(?:<([^>\n]*)>|((?:[^\s()]|\([^\s()]*\))+))(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)"),
    # [label]: target
    re.compile(r"^ {0,3}\[(?!\^)[^\]\n]+\]:[ \t]*(?:<([^>\n]*)>|(\S+))", re.MULTILINE),
    re.compile(r"<(?:a|img|source)\b[^>]*?\s(?:href|src|srcset)=(?:\"([^\"]*)\"|'([^']*)')"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is written, and the line where."""

    target: str
    line: int


@dataclass(slots=True)
class Report:
    """How many links were looked at, and a line for each that leads nowhere."""

    checked: int = 0
    broken: list[str] = field(default_factory=list)


def slug(heading: str) -> str:
    """Make the anchor that GitHub gives to the first heading with this text."""
    text = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", heading)
    # Underscores and tags are markup outside of code, and text in it.
    plain = [part if part.startswith("`") else _MARKUP.sub("", part) for part in re.split(r"(`[^`]*`)", text)]
    return re.sub(r"[^\w\- ]", "", "".join(plain).strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Collect what can stand behind the # of a link to a page."""
    text = _without_blocks(text)
    found = set(_IDS.findall(text))
    used: dict[str, int] = {}
    for heading in _headings(text):
        name = first = slug(heading)
        while name in used:
            used[first] += 1
            name = f"{first}-{used[first]}"
        used[name] = 0
    return found | set(used)


def links(text: str) -> list[Link]:
    """Find the links of a page, outside of code and comments, in the order of their lines."""
    text = _without_blocks(text)
    text = _CODE.sub(lambda code: _blank(code[0]), text)
    found = [
        Link(target=match[1] or match[2] or "", line=text.count("\n", 0, match.start()) + 1)
        for pattern in _LINKS
        for match in pattern.finditer(text)
    ]
    return sorted(found, key=lambda link: link.line)


def check(root: Path, files: Collection[str]) -> Report:
    """Check the pages among `files`, which are all files of the repository as paths from its root."""
    report = Report()
    known = set(files) | {str(folder) for name in files for folder in PurePosixPath(name).parents}
    for page in sorted(name for name in files if PAGES.fullmatch(name)):
        for link in links((root / page).read_text(encoding="utf-8")):
            if _SCHEME.match(link.target):
                continue
            report.checked += 1
            if problem := _problem(root, page, link.target, known):
                report.broken.append(f"{page}:{link.line}: {link.target}: {problem}")
    return report


def repository_files(root: Path) -> list[str]:
    """List what git has or would take, without what it ignores."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listed.split("\0") if name and (root / name).is_file()})


def main() -> int:
    """Check the repository that this file is part of; returns 1 if a link is broken."""
    root = Path(__file__).resolve().parent.parent
    report = check(root, repository_files(root))
    for line in report.broken:
        print(line)
    print(f"links: {report.checked} checked, {len(report.broken)} broken")
    return 1 if report.broken else 0


def _problem(root: Path, page: str, target: str, known: Collection[str]) -> str:
    """Say what is wrong with a link; "" = nothing."""
    path, _, anchor = target.partition("#")
    path, anchor = unquote(path.partition("?")[0]), unquote(anchor)
    name = page
    if path:
        # GitHub takes a leading slash as the root of the repository.
        name = normpath(path.lstrip("/") or ".") if path.startswith("/") else normpath(str(Path(page).parent / path))
    if name.startswith(".."):
        return "leads out of the repository"
    if name not in known:
        return "no such file in the repository" if not (root / name).exists() else "git ignores this file"
    if not anchor or (name.endswith(".md") and anchor in anchors((root / name).read_text(encoding="utf-8"))):
        return ""
    if (lines := _LINES.fullmatch(anchor)) and (root / name).is_file():
        last = len((root / name).read_text(encoding="utf-8", errors="replace").splitlines())
        return "" if max(int(lines[1]), int(lines[2] or 0)) <= last else f"the file has {last} lines"
    return "no such heading" if name.endswith(".md") else "an anchor in a file that has no headings"


def _headings(text: str) -> Iterator[str]:
    before = ""
    for line in text.splitlines():
        if match := _HEADING.match(line):
            yield match[1]
        elif before.strip() and _UNDERLINE.match(line) and not before.lstrip().startswith(("|", ">", "-", "*", "#")):
            yield before.strip()
        before = line


def _without_blocks(text: str) -> str:
    """Empty fenced code and comments, keeping the lines."""
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip(" \t`~"):
                fence = ""
            lines.append("")
        elif mark and not (mark[1][0] == "`" and "`" in line[mark.end() :]):
            fence = mark[1]
            lines.append("")
        else:
            lines.append(line)
    return _COMMENT.sub(lambda comment: _blank(comment[0]), "\n".join(lines))


def _blank(text: str) -> str:
    return "\n" * text.count("\n")


if __name__ == "__main__":
    sys.exit(main())

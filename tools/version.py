"""The one version of server, clients and packages: the file VERSION.

python tools/version.py             what it is
python tools/version.py --check     whether every place has it; says where not
python tools/version.py --set 0.2.0 writes VERSION and every place
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# SemVer without build metadata: what every one of the package managers takes.
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")

# Each place: a file, and a pattern whose one group is the version. Every match in the file has to be it.
PLACES = (
    ("server/imagegen_server/__init__.py", r'^__version__ = "(.+)"$'),
    ("clients/python/src/imagegen/_version.py", r'^__version__ = "(.+)"$'),
    ("clients/go/version.go", r'^const Version = "(.+)"$'),
    ("clients/typescript/package.json", r'^  "version": "(.+)",$'),
    ("clients/typescript/package-lock.json", r'"name": "@imagegen/client",\n *"version": "(.+)",$'),
    ("clients/typescript/src/version.ts", r'^export const \w+ = "(.+)";$'),
    ("clients/java/pom.xml", r"<artifactId>imagegen-client</artifactId>\n  <version>(.+)</version>$"),
    ("clients/rust/Cargo.toml", r'^name = "imagegen-client"\nversion = "(.+)"$'),
    ("clients/rust/Cargo.lock", r'^name = "imagegen-client"\nversion = "(.+)"$'),
    ("tests/conformance/rust/Cargo.lock", r'^name = "imagegen-client"\nversion = "(.+)"$'),
    ("clients/cpp/CMakeLists.txt", r"^project\(imagegen VERSION (\S+)"),
    ("docs/operations.md", r"imagegen-server (\S+) serving on"),
)


def version(root: Path = ROOT) -> str:
    """Read VERSION."""
    return (root / "VERSION").read_text(encoding="utf-8").strip()


def wrong(root: Path = ROOT) -> Iterator[str]:
    """Say where another version stands than that of VERSION, or none."""
    right = version(root)
    for name, pattern in PLACES:
        found = re.findall(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        if not found:
            yield f"{name} has no version where one should be"
        for other in found:
            if other != right:
                yield f"{name} has {other}, and VERSION {right}"


def write(new: str, root: Path = ROOT) -> None:
    """Put a version into VERSION and every place."""
    (root / "VERSION").write_text(new + "\n", encoding="utf-8")
    for name, pattern in PLACES:
        file = root / name
        text = file.read_text(encoding="utf-8")
        file.write_text(re.sub(pattern, lambda found: _with(found, new), text, flags=re.MULTILINE), encoding="utf-8")


def _with(found: re.Match[str], new: str) -> str:
    start, end = found.start(1) - found.start(), found.end(1) - found.start()
    return found[0][:start] + new + found[0][end:]


def main() -> int:
    """Read the command line; the exit status is 1 if a place is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--set", metavar="VERSION", dest="new")
    asked = parser.parse_args()
    if asked.new:
        if not SEMVER.fullmatch(asked.new):
            parser.error(f"{asked.new!r} is no version of the form 1.2.3 or 1.2.3-rc.1")
        write(asked.new)
    if asked.check or asked.new:
        problems = list(wrong())
        print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
        return 1 if problems else 0
    print(version())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Installs everything in a folder of built packages into empty places, and makes one call with each.

python -m tests.packages.run [--dist FOLDER] [NAME ...]

The server is the one of the built wheels, too, in an environment of its own.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imagegen_server.images.facts import read_facts

from tests.conformance.languages import LANGUAGES, environment
from tests.support.tools import ROOT

from .installing import PACKAGES, InstallError, Package, Place


@contextmanager
def served(place: Place) -> Iterator[str]:
    """Install the wheels of server and client, and serve on a free port."""
    uv = ROOT / ".tools" / "uv" / "bin" / "uv"
    place.run(uv, "venv", "--quiet", "venv")
    wheels = (place.one("imagegen_server-*.whl"), place.one("imagegen_client-*.whl"))
    place.run(uv, "pip", "install", "--quiet", "--python", "venv/bin/python", *wheels)
    with (place.folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [place.folder / "venv" / "bin" / "imagegen-server", "serve", "--listen", "127.0.0.1:0"],
            cwd=place.folder,
            env=dict(place.environment),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if place.version not in line.split():
            raise InstallError(f"the server did not say that it is {place.version}: {line!r}")
        yield line.split()[-1]
    finally:
        process.terminate()
        process.communicate()


def problem(package: Package, place: Place) -> str:
    """Install a package and call; what was wrong, or nothing."""
    if package.language and (missing := asyncio.run(LANGUAGES[package.language].missing())):
        return f"skipped: {missing}"
    place.folder.mkdir()
    try:
        package.install(place)
    except InstallError as error:
        return str(error)
    if package.picture:
        file = place.folder / package.picture
        facts = read_facts(file.read_bytes()) if file.is_file() else None
        if facts is None or facts.media_type != "image/png":
            return f"it left no picture {package.picture}"
    return ""


def check(packages: Sequence[Package], dist: Path, version: str) -> dict[str, str]:
    """Check all of them; what was wrong with each."""
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="imagegen-dist-") as folder:
        base = Path(folder)
        (base / "server").mkdir()
        kept = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
        with served(Place(base / "server", dist, version, "", kept)) as address:
            for package in packages:
                place = Place(base / package.name.replace(" ", "-"), dist, version, address, kept)
                found[package.name] = problem(package, place)
                print(f"{package.name}: {found[package.name] or 'installed, and drew a picture'}", flush=True)
    return found


def main() -> int:
    """Read the command line; the exit status is 1 if anything failed, or was skipped in CI."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="default: dist")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(one.name for one in PACKAGES)}")
    asked = parser.parse_args()
    packages = [package for package in PACKAGES if not asked.names or package.name in asked.names]
    version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
    found = check(packages, asked.dist.resolve(), version)
    skipped = sum(text.startswith("skipped") for text in found.values())
    failed = sum(bool(text) for text in found.values()) - skipped
    passed = len(found) - failed - skipped
    if os.environ.get("CI") == "true":
        failed, skipped = failed + skipped, 0
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""One version stands everywhere."""

import re
import shutil
from pathlib import Path

import pytest
import version


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Copy every file with a version, and VERSION."""
    for name in ("VERSION", *dict.fromkeys(name for name, _ in version.PLACES)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(version.ROOT / name, tmp_path / name)
    return tmp_path


def test_the_repository_has_one_version() -> None:
    """Every manifest has what VERSION says."""
    assert list(version.wrong()) == []


@pytest.mark.parametrize("new", ["0.2.0", "1.0.0-rc.1", "10.20.30"])
def test_a_new_version_stands_everywhere(new: str, root: Path) -> None:
    """Setting it changes every place, and nothing else in the files."""
    before = {name: (root / name).read_text() for name, _ in version.PLACES}
    old = version.version(root)
    version.write(new, root)

    assert version.version(root) == new
    assert list(version.wrong(root)) == []
    for name, pattern in version.PLACES:
        back = re.sub(pattern, lambda found: found[0].replace(new, old), (root / name).read_text(), flags=re.MULTILINE)
        assert back == before[name]


def test_another_version_is_told(root: Path) -> None:
    """A place that was forgotten is named."""
    (root / "VERSION").write_text("9.9.9\n")

    assert {line.split()[0] for line in version.wrong(root)} == {name for name, _ in version.PLACES}


def test_a_place_without_a_version_is_told(root: Path) -> None:
    """A manifest in which the pattern finds nothing is no silent success."""
    (root / "clients" / "go" / "version.go").write_text("package imagegen\n")

    assert list(version.wrong(root)) == ["clients/go/version.go has no version where one should be"]


@pytest.mark.parametrize(("text", "good"), [("0.1.0", True), ("1.2", False), ("01.2.3", False), ("1.2.3+x", False)])
def test_the_form_of_a_version(text: str, good: bool) -> None:
    """SemVer without build metadata, which not every package manager takes."""
    assert bool(version.SEMVER.fullmatch(text)) is good

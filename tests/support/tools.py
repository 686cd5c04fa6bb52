"""Programs and packages that a user may not have: skipped by name for a user, a failure in CI."""

import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

from .process import BIN

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(BIN), str(ROOT / ".tools" / "bin"), os.environ.get("PATH", ""), "/usr/sbin"])
"""Where the tests look for programs: the environment, what CI installs here, the machine, where Debian has nginx."""


def require(program: str) -> None:
    """Skip the test if a program is missing, or fail it in CI."""
    if not shutil.which(program, path=PATH):
        _missing(program)


def find(program: str) -> str:
    """Tell where a program is that is there."""
    found = shutil.which(program, path=PATH)
    assert found is not None
    return found


def require_package(name: str) -> ModuleType:
    """Import a package, or skip the test if it is missing, or fail it in CI. One that is there and broken raises."""
    package = name.split(".")
    if not all(importlib.util.find_spec(".".join(package[:depth])) for depth in range(1, len(package) + 1)):
        _missing(name)
    return importlib.import_module(name)


def _missing(name: str) -> NoReturn:
    message = f"{name} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message + ", and CI must have it")
    pytest.skip(message)

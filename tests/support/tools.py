"""Programs that a user may not have: skipped by name for a user, a failure in CI."""

import os
import shutil
from pathlib import Path

import pytest

from .process import BIN

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(BIN), str(ROOT / ".tools" / "bin"), os.environ.get("PATH", "")])
"""Where the tests look for programs: the environment, what CI installs here, the machine."""


def require(program: str) -> None:
    """Skip the test if a program is missing, or fail it in CI."""
    if shutil.which(program, path=PATH):
        return
    message = f"{program} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message + ", and CI must have it")
    pytest.skip(message)

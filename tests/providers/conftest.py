"""What of these tests is run when nobody asks for more."""

import os
from pathlib import Path

import pytest

_CONTRACT = "contract"


def _asked_for(config: pytest.Config) -> bool:
    return bool(os.environ.get("CI")) or any(_CONTRACT in argument for argument in config.invocation_params.args)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the contract of all providers, which takes minutes, to CI and to those who name it."""
    return True if collection_path.name == _CONTRACT and not _asked_for(config) else None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is left out."""
    return None if _asked_for(config) else "left to `make conformance`: the contract suite, tests/providers/contract"

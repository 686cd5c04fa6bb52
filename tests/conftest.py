"""What every test has."""

import os

import pytest

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the settings or keys of whoever runs it."""
    for name in list(os.environ):
        if name.startswith("IMAGEGEN") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)

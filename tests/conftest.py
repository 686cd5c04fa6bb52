"""What every test has."""

import gc
import os

import pytest
from hypothesis import settings

# How long an example takes says something of the machine, and nothing of the code. CI has the time for more of them.
settings.register_profile("people", deadline=None, max_examples=30)
settings.register_profile("machines", deadline=None, max_examples=100)
settings.load_profile("machines" if os.environ.get("CI") else "people")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

_VENDORS = ("AWS_", "AZURE_", "FAL_", "GOOGLE_", "REPLICATE_")
"""Whose variables hold keys and places."""


def pytest_collection_finish() -> None:
    """Spare the garbage collector the tests themselves: some millions of objects that stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the settings, keys, proxies or certificates of whoever runs it."""
    for name in list(os.environ):
        ours = name.startswith(("IMAGEGEN", *_VENDORS)) or name.endswith(("_API_KEY", "_API_TOKEN"))
        if ours or name.upper().endswith("_PROXY") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name)

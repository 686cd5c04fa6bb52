"""What every test has."""

import os

import pytest
from hypothesis import settings

# How long an example takes says something of the machine, and nothing of the code.
settings.register_profile("imagegen", deadline=None)
settings.load_profile("imagegen")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

_VENDORS = ("AWS_", "AZURE_", "FAL_", "GOOGLE_", "REPLICATE_")
"""Whose variables hold keys and places."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the settings, keys, proxies or certificates of whoever runs it."""
    for name in list(os.environ):
        ours = name.startswith(("IMAGEGEN", *_VENDORS)) or name.endswith(("_API_KEY", "_API_TOKEN"))
        if ours or name.upper().endswith("_PROXY") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name)

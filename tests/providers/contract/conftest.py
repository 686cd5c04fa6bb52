"""What every test of the contract has."""

from functools import cache

import httpx
import pytest
from imagegen_server.generation import result_url

_context_once = cache(httpx.create_ssl_context)


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that could not be fetched is fetched again at once, and certificates, of no use here, are read once."""
    monkeypatch.setattr(result_url, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(httpx, "create_ssl_context", _context_once)

"""What every test of the contract has."""

import pytest
from imagegen_server.generation import result_url


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that could not be fetched is fetched again at once."""
    monkeypatch.setattr(result_url, "WAITS", (0.0, 0.0))

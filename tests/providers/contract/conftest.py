"""What every test of the contract has."""

import pytest
from imagegen_server.generation import result_url


@pytest.fixture(autouse=True)
def _fetch_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that could not be fetched is fetched again without a wait."""
    monkeypatch.setattr(result_url, "WAITS", (0.0, 0.0))

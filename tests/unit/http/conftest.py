"""What the tests of the HTTP room share."""

from pathlib import Path

import pytest
import trustme

from tests.support.authority import Authority
from tests.support.http_server import ENGINES


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Every test that takes it holds for both engines."""
    return str(request.param)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One that nobody trusts yet."""
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Authority(issuer, str(tmp_path / "ca.pem"))

"""Whom connections trust."""

import ssl
from pathlib import Path

import certifi
import pytest
import trustme
from imagegen_server.http.authorities import check_authorities, trust


def _names(context: ssl.SSLContext) -> set[str]:
    return {str(authority["subject"]) for authority in context.get_ca_certs()}


def _authority(directory: Path) -> str:
    path = directory / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return str(path)


def test_the_usual_authorities_are_read_once() -> None:
    """All who trust no others share one context, which checks names and certificates."""
    shared = trust()
    assert trust() is shared
    assert shared.check_hostname
    assert shared.verify_mode is ssl.CERT_REQUIRED


def test_own_authorities_are_trusted_by_their_provider_alone(tmp_path: Path) -> None:
    """A file adds to the usual ones, in a context of its own."""
    path = _authority(tmp_path)
    own = trust(path)
    assert len(_names(own) - _names(trust())) == 1
    assert _names(own) > _names(trust())
    assert trust(path) is not own


def test_what_the_environment_names_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE takes the place of certifi's authorities."""
    usual = trust()
    monkeypatch.setenv("SSL_CERT_FILE", _authority(tmp_path))
    assert len(_names(trust())) == 1
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert _names(trust()) == _names(usual)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    for path in (nothing, tmp_path / "absent.pem"):
        with pytest.raises(ValueError, match=f"ca: no certificates can be read from {path}"):
            check_authorities(str(path))
        with pytest.raises(ValueError, match=f"ca: no certificates can be read from {path}"):
            trust(str(path))

"""The files of TLS: what is refused, under which key."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from imagegen_server.config import ConfigError, load_config
from imagegen_server.config.tls import TlsTable

from tests.support.authority import issue
from tests.support.callers import Safe
from tests.support.settings import TYPES, complaint, keys, write


def test_the_files_are_read(tmp_path: Path) -> None:
    """All of them, as they are; the key shows nowhere."""
    safe = Safe(tmp_path)
    table = safe.tls(client_ca=True)

    read = table.read()

    assert (read.chain, read.key) == (table.cert.read_bytes(), table.key.read_bytes())
    assert read.client_ca == safe.client_authority.cert_pem.bytes()
    assert "PRIVATE" not in repr(read)
    assert Safe(tmp_path).tls().read().client_ca is None


def test_certificate_and_key_may_be_one_file(tmp_path: Path) -> None:
    """As some tools write them."""
    table = Safe(tmp_path).tls()
    both = tmp_path / "both.pem"
    both.write_bytes(table.key.read_bytes() + table.cert.read_bytes())

    assert TlsTable(cert=both, key=both).read().key == both.read_bytes()


def encrypted(table: TlsTable) -> None:
    """Put a password on the key."""
    key = serialization.load_pem_private_key(table.key.read_bytes(), None)
    lock = serialization.BestAvailableEncryption(b"secret")
    table.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))


def damaged(path: Path) -> None:
    """Spoil what stands between the lines of a PEM file."""
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "AAAA", lines[-1]]))


@pytest.mark.parametrize(
    ("spoil", "key", "says"),
    [
        (lambda table: table.cert.unlink(), "server.tls.cert", "No such file"),
        (lambda table: table.key.unlink(), "server.tls.key", "No such file"),
        (lambda table: table.client_ca.unlink(), "server.tls.client_ca", "No such file"),
        (lambda table: table.cert.write_text("x"), "server.tls.cert", "no certificate"),
        (lambda table: table.key.write_bytes(table.cert.read_bytes()), "server.tls.key", "no private key"),
        (lambda table: table.client_ca.write_text("x"), "server.tls.client_ca", "no certificate"),
        (lambda table: damaged(table.client_ca), "server.tls.client_ca", "no certificate"),
        (lambda table: table.key.write_bytes(issue(trustme.CA(), "localhost").key), "server.tls.key", "not the key"),
        (encrypted, "server.tls.key", "encrypted"),
        (lambda table: damaged(table.cert), "server.tls.cert, server.tls.key", "cannot be used"),
        (lambda table: damaged(table.key), "server.tls.cert, server.tls.key", "cannot be used"),
    ],
)
def test_files_that_cannot_be_used_are_refused(
    tmp_path: Path, spoil: Callable[[TlsTable], object], key: str, says: str
) -> None:
    """Under the key that names the file, and without asking anybody for a password."""
    table = Safe(tmp_path).tls(client_ca=True)
    spoil(table)

    with pytest.raises(ConfigError) as caught:
        table.read()

    assert keys([str(caught.value)]) == [key]
    assert says in str(caught.value)


def test_files_that_change_meanwhile_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked is what is used."""
    safe = Safe(tmp_path)
    table = safe.tls()
    check = TlsTable._check

    def renew_and_check(self: TlsTable, *arguments: object) -> None:
        check(self, *arguments)  # type: ignore[arg-type]
        safe.renew(issue(safe.authority, "localhost"))

    monkeypatch.setattr(TlsTable, "_check", renew_and_check)

    with pytest.raises(ConfigError, match="changed while they were read"):
        table.read()


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("{cert = 'a.pem'}", "server.tls.key"),
        ("{key = 'a.key'}", "server.tls.cert"),
        ("{cert = 'a.pem', key = 'a.key', ca = 'c.pem'}", "server.tls.ca"),
        ("'a.pem'", "server.tls"),
        ("{cert = 'missing.pem', key = 'missing.key'}", "server.tls.cert"),
    ],
)
def test_the_start_refuses_an_incomplete_table(tmp_path: Path, table: str, expected: str) -> None:
    """Both files are needed, both have to be there, and there are no other keys but client_ca."""
    text = f"[server]\ntls = {table}"

    assert keys(complaint(lambda: load_config(TYPES, path=write(tmp_path, text)))) == [expected]

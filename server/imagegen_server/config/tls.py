"""[server] tls: the server's certificate, and the authorities of its clients'."""

import ssl
from pathlib import Path

from imagegen_server.domain.credentials import ServerCertificate

from .values import ConfigError, Table

_KEY = "server.tls"


class TlsTable(Table):
    """Three PEM files. With `client_ca` every client has to show a certificate of one of these authorities."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return tuple(path for path in (self.cert, self.key, self.client_ca) if path)

    def read(self) -> ServerCertificate:
        """Read and check them.

        :raises ConfigError: one cannot be read, or is something else, or two do not fit together
        """
        certificate = self._load()
        self._check(certificate)
        if self._load() != certificate:
            raise ConfigError(f"{_KEY}: the files changed while they were read")
        return certificate

    def _load(self) -> ServerCertificate:
        return ServerCertificate(
            chain=_read(self.cert, "cert"),
            key=_read(self.key, "key"),
            client_ca=_read(self.client_ca, "client_ca") if self.client_ca else None,
        )

    def _check(self, certificate: ServerCertificate) -> None:
        if b"-----BEGIN CERTIFICATE-----" not in certificate.chain:
            raise ConfigError(f"{_KEY}.cert: holds no certificate in PEM")
        if b"ENCRYPTED" in certificate.key:
            raise ConfigError(f"{_KEY}.key: is encrypted; the server has nobody to ask for its password")
        if b"PRIVATE KEY-----" not in certificate.key:
            raise ConfigError(f"{_KEY}.key: holds no private key in PEM")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.cert, self.key)
        except ssl.SSLError as problem:
            if problem.reason == "KEY_VALUES_MISMATCH":
                raise ConfigError(f"{_KEY}.key: is not the key of the certificate in {_KEY}.cert") from None
            raise ConfigError(f"{_KEY}.cert, {_KEY}.key: cannot be used: {problem.reason or 'damaged'}") from None
        if self.client_ca:
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError:
                raise ConfigError(f"{_KEY}.client_ca: holds no certificate in PEM") from None


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"{_KEY}.{key}: {path} cannot be read: {problem.strerror}") from None

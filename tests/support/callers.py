"""Certificates, tokens and the file of callers, as an operator keeps them."""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from imagegen_server.config.callers import TokensTable
from imagegen_server.config.tls import TlsTable

from tests.support.authority import Pair, issue

TOKEN, OTHER_TOKEN = "igt_billing", "igt_batch"


def hash_of(token: str) -> str:
    """Hash a token as the file of callers has it."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def issue_names(issuer: trustme.CA, *names: x509.GeneralName, common_name: str | None = None) -> Pair:
    """Let an authority issue a certificate with names of other kinds than hosts, or none."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = serialization.load_pem_private_key(issuer.private_key_pem.bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.load_pem_x509_certificate(issuer.cert_pem.bytes()).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2999, 1, 1, tzinfo=dt.UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(private, builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@dataclass
class Safe:
    """A folder with a server's certificate, the authority of its clients, and the file of callers."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)
    """Of the server."""
    client_authority: trustme.CA = field(default_factory=trustme.CA)

    def tls(self, *, client_ca: bool = False) -> TlsTable:
        """Write the files of TLS; with `client_ca` clients have to show certificates."""
        table = TlsTable(
            cert=self.folder / "server.pem",
            key=self.folder / "server.key",
            client_ca=self.folder / "clients.pem" if client_ca else None,
        )
        self.renew(issue(self.authority, "localhost", "127.0.0.1"))
        if table.client_ca:
            self.client_authority.cert_pem.write_to_path(str(table.client_ca))
        return table

    def renew(self, pair: Pair) -> None:
        """Give the server another certificate."""
        (self.folder / "server.pem").write_bytes(pair.chain)
        (self.folder / "server.key").write_bytes(pair.key)

    def tokens(self, text: str = "") -> TokensTable:
        """Write the file of callers; by default it has the caller `billing` with TOKEN."""
        file = self.folder / "callers.toml"
        file.write_text(text or f'[callers.billing]\ntokens = ["{hash_of(TOKEN)}"]\n')
        return TokensTable(file=file)

    def channel(
        self, address: str, client: Pair | None = None, *, trust: Iterable[trustme.CA] = ()
    ) -> grpc.aio.Channel:
        """Open a channel of its own to a server; `trust` = the authorities that it believes beside the server's."""
        return grpc.aio.secure_channel(
            address, self.credentials(client, trust=trust), options=[("grpc.use_local_subchannel_pool", 1)]
        )

    def credentials(self, client: Pair | None = None, *, trust: Iterable[trustme.CA] = ()) -> grpc.ChannelCredentials:
        """Make the credentials of such a channel."""
        roots = b"".join(authority.cert_pem.bytes() for authority in (self.authority, *trust))
        if client is None:
            return grpc.ssl_channel_credentials(roots)
        return grpc.ssl_channel_credentials(roots, client.key, client.chain)

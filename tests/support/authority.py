"""A certificate authority that tests make for themselves."""

import ssl
from dataclasses import dataclass

import trustme


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test. `path` leads to its certificate."""

    issuer: trustme.CA
    path: str

    def context(self, name: str) -> ssl.SSLContext:
        """Make the context of a server that is called so."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issuer.issue_cert(name).configure_cert(context)
        return context


@dataclass(frozen=True)
class Pair:
    """A private key and its certificate chain, in PEM."""

    key: bytes
    chain: bytes


def issue(issuer: trustme.CA, *hosts: str, common_name: str | None = None) -> Pair:
    """Let an authority issue a certificate."""
    made = issuer.issue_cert(*hosts, common_name=common_name)
    return Pair(made.private_key_pem.bytes(), b"".join(blob.bytes() for blob in made.cert_chain_pems))

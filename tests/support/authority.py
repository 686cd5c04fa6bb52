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

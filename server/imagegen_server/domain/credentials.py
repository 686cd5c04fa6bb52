"""What proves who calls, and who this server is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .caller import Caller


@dataclass(frozen=True, slots=True)
class KnownCallers:
    """Callers by what proves them.

    `tokens` are by the SHA-256 of the token, `certificates` by a name in a client's certificate. `unlisted`: whoever
    has another certificate of the trusted authorities may call too, without limits.
    """

    tokens: Mapping[bytes, Caller] = field(default_factory=dict)
    certificates: Mapping[str, Caller] = field(default_factory=dict)
    unlisted: bool = False


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """The certificate chain of a server, its private key, and the authorities of its clients' certificates; all PEM.

    `client_ca` None = clients show no certificate.
    """

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = None

"""What an operator can set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImagegenSettings:
    """Where another imagegen server is, and what proves to it and to us who is who.

    `address` is "host:port", or a target of gRPC that begins with its scheme. `tls`: with the roots of gRPC, or with
    those of the PEM file `ca`. `certificate` and `private_key` are PEM files, for a server that wants to see one. Each
    of the three files asks for TLS by itself; they are read when the server starts.
    """

    address: str = ""
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    private_key: str = ""

    def __post_init__(self) -> None:
        """Refuse what leads nowhere."""
        if not self.address:
            raise ValueError('address is required: where the other server listens, as "host:port"')
        if bool(self.certificate) != bool(self.private_key):
            raise ValueError("certificate and private_key belong together: give both or neither")

    @property
    def secure(self) -> bool:
        """The connection is encrypted."""
        return self.tls or bool(self.ca or self.certificate)

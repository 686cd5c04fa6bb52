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

    @property
    def secure(self) -> bool:
        """The connection is encrypted."""
        return self.tls or bool(self.ca or self.certificate)


def address_of(settings: ImagegenSettings) -> str:
    """Tell where the other server is.

    :raises ValueError: it is not said, or what is said does not fit together; begins with the name of the setting
    """
    if not settings.address:
        raise ValueError('address: is required, where the other server listens: "host:port"')
    if bool(settings.certificate) != bool(settings.private_key):
        raise ValueError("certificate: belongs together with private_key; give both or neither")
    return settings.address


def token_refused(settings: ImagegenSettings) -> str:
    """Tell why a token would not be safe on its way; "" = it is. The client decides, which would not send it."""
    import imagegen  # noqa: PLC0415 - only a table with a token needs it before the provider is set up

    try:
        imagegen.AsyncClient(settings.address, tls=settings.secure)
    except ValueError:
        return ""  # that is told when the provider is set up
    try:
        imagegen.AsyncClient(settings.address, tls=settings.secure, token="token")  # noqa: S106 - any would do
    except ValueError as problem:
        return f"tls: {problem}"
    return ""

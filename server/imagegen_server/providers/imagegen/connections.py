"""The way to the other server: one client for each token."""

from pathlib import Path

import grpc
import imagegen

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.route import VIA, current_route
from imagegen_server.domain.secret import Secret

from .settings import ImagegenSettings


class Connections:
    """Makes clients, and keeps them until the end."""

    def __init__(self, settings: ImagegenSettings) -> None:
        """Read the certificates; nothing is sent.

        :raises ValueError: the address is none, or the files hold no certificates
        :raises OSError: a file cannot be read
        """
        self._address = settings.address
        self._tls = _credentials(settings)
        self._clients: dict[Secret | None, imagegen.AsyncClient] = {}
        imagegen.AsyncClient(self._address, tls=self._tls)

    def with_token(self, token: Secret | None) -> imagegen.AsyncClient:
        """Find the client that sends this token; None = it sends none.

        :raises ImageError: AUTHENTICATION_FAILED, the token would be sent in clear text
        """
        if token not in self._clients:
            try:
                self._clients[token] = imagegen.AsyncClient(
                    self._address, tls=self._tls, token=token.reveal() if token else None, metadata=_via
                )
            except ValueError as problem:
                raise ImageError(Reason.AUTHENTICATION_FAILED, str(problem), billed=Billed.NO) from None
        return self._clients[token]

    async def close(self) -> None:
        """Close them all."""
        for client in self._clients.values():
            await client.aclose()


def _via() -> dict[str, str]:
    route = current_route()
    return {VIA: ",".join(route)} if route else {}


def _credentials(settings: ImagegenSettings) -> grpc.ChannelCredentials | bool:
    if not settings.secure:
        return False
    return grpc.ssl_channel_credentials(
        *(_read(path) for path in (settings.ca, settings.private_key, settings.certificate))
    )


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None

"""Websockets to a provider, RFC 6455: what one is, whoever opens it."""

from typing import Protocol

MOST_MESSAGE_BYTES = 16 * 1024 * 1024
"""What is read of one message unless the adapter knows better: many times what a preview takes."""


class WebSocket(Protocol):
    """An open websocket. Its methods raise ImageError as those of `HttpClient` do; after that it is of no use."""

    async def send(self, text: str) -> None:
        """Send a text message.

        :raises ImageError: NETWORK_ERROR
        """

    async def receive(self) -> str | bytes:
        """Wait for the next message: a text, or bytes. A wait that is cancelled loses nothing.

        What of a text is no UTF-8 becomes U+FFFD.

        :raises ImageError: NETWORK_ERROR: it was closed or broke; TIMEOUT: the other side is silent also when asked;
            INVALID_RESPONSE: a message is too long, or is none. No byte of a message that is too long was kept
        """

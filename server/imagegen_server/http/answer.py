"""What a provider answers."""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import httpx

from imagegen_server.domain.errors import ImageError, Reason

from .failures import network_failure

MOST_ANSWER_BYTES = 256 * 1024 * 1024
"""What is read of one answer unless the adapter knows better: ten images of 19 MiB as base64, more than any known
model makes in one request, and little enough that an endless answer does not end the server. An adapter whose images
may be larger asks for more."""

_INFLATED = 1024 * 1024
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class Answer:
    """An answer whose body may still be on its way. `media_type` in lower case and without parameters.

    The body can be taken once, by `read`, `read_on` or `chunks`. All undo gzip and deflate, which a proxy may have
    applied although nobody asked for it.
    """

    def __init__(self, response: httpx.Response, host: str) -> None:
        """Wrap what a transport gave back; `host` is for messages."""
        self.status = response.status_code
        self.headers = response.headers
        self.media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._host = host
        self._stream = response.stream
        self._encoding = response.headers.get("content-encoding", "").strip().lower()

    @property
    def ok(self) -> bool:
        """Tell whether the status is one of success (2xx)."""
        return httpx.codes.is_success(self.status)

    async def read(self, most_bytes: int = MOST_ANSWER_BYTES, on_bytes: Callable[[int], None] | None = None) -> bytes:
        """Take the whole body. `on_bytes` hears of every piece, in bytes, before it is kept; what it raises comes out.

        :raises ImageError: INVALID_RESPONSE when it is longer than `most_bytes` or badly compressed, NETWORK_ERROR when
            the connection broke, TIMEOUT when the transport gave up waiting
        """
        body, fault = await self.read_on(most_bytes, on_bytes)
        if fault is not None:
            raise fault
        return body

    async def read_on(
        self, most_bytes: int = MOST_ANSWER_BYTES, on_bytes: Callable[[int], None] | None = None
    ) -> tuple[bytes, ImageError | None]:
        """Take the body as far as it comes, and what ended it too early; None = it came whole.

        For those who see by themselves whether anything is missing: a connection may break behind the last byte that
        matters.

        :raises ImageError: INVALID_RESPONSE when it is longer than `most_bytes`
        """
        declared = self._declared_length()
        if declared > most_bytes:
            raise self._too_long(most_bytes)
        parts, length, fault = [], 0, None
        try:
            async for chunk in self.chunks():
                length += len(chunk)
                if length > most_bytes:
                    break
                if on_bytes is not None:
                    on_bytes(len(chunk))
                parts.append(chunk)
        except ImageError as error:
            fault = error.with_traceback(None)  # it is not raised again, and its frames hold the body
        if length > most_bytes:
            raise self._too_long(most_bytes)
        if length < declared:
            fault = fault or network_failure(httpx.ReadError("cut short"), self._host)
        return b"".join(parts), fault

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes.

        :raises ImageError: as `read`, without a limit of length
        """
        if self._encoding in {"", "identity"}:
            plain = self._received()
        elif self._encoding in {"gzip", "x-gzip", "deflate"}:
            plain = self._inflated()
        else:
            raise ImageError(Reason.INVALID_RESPONSE, f"{self._host} answered in a compression that was not asked for")
        async for chunk in plain:
            yield chunk

    def _declared_length(self) -> int:
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() and self._encoding in {"", "identity"} else 0

    def _too_long(self, most_bytes: int) -> ImageError:
        return ImageError(Reason.INVALID_RESPONSE, f"the answer of {self._host} is longer than {most_bytes} bytes")

    async def _received(self) -> AsyncIterator[bytes]:
        assert isinstance(self._stream, httpx.AsyncByteStream)
        try:
            async for chunk in self._stream:
                yield chunk
        except (httpx.TransportError, OSError) as error:
            raise network_failure(error, self._host) from error

    async def _inflated(self) -> AsyncIterator[bytes]:
        """Decompress in steps, so that a few bytes that stand for gigabytes meet the caller's limit first."""
        inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            async for received in self._received():
                rest = received
                while rest and not inflate.eof:
                    yield inflate.decompress(rest, _INFLATED)
                    rest = inflate.unconsumed_tail
        except zlib.error as error:
            raise ImageError(Reason.INVALID_RESPONSE, f"the answer of {self._host} is badly compressed") from error
        if not inflate.eof:
            raise ImageError(Reason.INVALID_RESPONSE, f"the compressed answer of {self._host} is cut short")

"""What went wrong on the way to a provider, as an ImageError."""

import os
import re
import socket
import ssl

import httpx

from imagegen_server.domain.errors import ImageError, Reason

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
_REFUSED_BY_PROXY = re.compile(r"[1-5]\d\d\b")


def network_failure(error: httpx.TransportError | OSError, host: str) -> ImageError:
    """Tell what happened to an exchange with `host`.

    A transport raises ConnectError, ConnectTimeout and ProxyError only if nothing of the request was sent; after
    anything else it may have arrived, and may be billed. The text names the host and the cause: no header, no key,
    no credentials of a proxy, no body.
    """
    sent = not isinstance(error, _NOT_SENT)
    if isinstance(error, httpx.TimeoutException) and sent:
        return ImageError(Reason.TIMEOUT, f"{host} took too long")
    return ImageError(Reason.NETWORK_ERROR, _message(error, host), sent=sent)


def _message(error: httpx.TransportError | OSError, host: str) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"cannot connect to {host}: no connection in time"
    if isinstance(error, httpx.ProxyError):
        status = _REFUSED_BY_PROXY.match(str(error))
        cause = f"it answered {status.group()}" if status else _cause(error)
        return f"cannot connect to {host} through the proxy: {cause}"
    if isinstance(error, httpx.ConnectError):
        return f"cannot connect to {host}: {_cause(error)}"
    if isinstance(error, httpx.WriteError):
        return f"the connection to {host} broke while the request was sent: {_cause(error)}"
    return f"the connection to {host} broke before the answer was complete: {_cause(error)}"


def _cause(error: BaseException) -> str:
    """Name the innermost cause that says something: the layers above it only repeat it, or quote URLs."""
    told = ""
    inner: BaseException | None = error
    while inner is not None:
        told = _told(inner) or told
        several = inner.exceptions if isinstance(inner, BaseExceptionGroup) else ()
        inner = several[0] if several else inner.__cause__ or inner.__context__
    return told or "it was closed by the other side"


def _told(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_message"):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and getattr(error, "reason", None):  # OpenSSL's own word, such as WRONG_VERSION
        return f"TLS failed: {error.reason.replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return f"the name was not found ({error.strerror})"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return ""

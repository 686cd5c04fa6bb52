"""Who makes the call that is being served, and what proves it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import grpc

from imagegen_server.domain.caller import ANONYMOUS, Caller
from imagegen_server.domain.credentials import KnownCallers
from imagegen_server.domain.errors import ImageError, Reason

CERTIFICATE_PREFIX = "cert:"
"""Begins the name of a caller that only its certificate tells. No name in a file of callers has a colon."""

_SCHEME = "bearer"

_caller: ContextVar[Caller] = ContextVar("caller", default=ANONYMOUS)


def current_caller() -> Caller:
    """Tell who makes the call that is being served."""
    return _caller.get()


@contextmanager
def acting_for(caller: Caller) -> Iterator[None]:
    """Let `current_caller` tell this one."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


class Authenticator:
    """Finds out who calls: by the bearer token, else by the client's certificate."""

    def __init__(self, known: Callable[[], KnownCallers], *, tokens: bool, certificates: bool) -> None:
        """Ask `known` with every call. `tokens`: these are looked at; `certificates`: every client has shown one."""
        self._known = known
        self._tokens = tokens
        self._certificates = certificates

    def identify(self, context: "grpc.aio.ServicerContext[Any, Any]") -> Caller:
        """Tell who makes a call.

        :raises ImageError: CALLER_UNAUTHENTICATED
        """
        return self.by_token(context.invocation_metadata() or ()) or self._by_certificate(context.auth_context())

    def by_token(self, metadata: Iterable[tuple[str, str | bytes]]) -> Caller | None:
        """Tell whose token is in the metadata of a call; None = there is none, and the certificate tells.

        :raises ImageError: CALLER_UNAUTHENTICATED
        """
        given = [value for key, value in metadata if key == "authorization"] if self._tokens else []
        if not given:
            if self._certificates:
                return None
            raise _unauthenticated("this server wants a token, as metadata of the call: authorization: Bearer TOKEN")
        scheme, _, token = str(given[0]).partition(" ")
        if len(given) > 1 or scheme.lower() != _SCHEME:
            raise _unauthenticated("metadata authorization: must be given once, as Bearer TOKEN")
        # Looked up by its hash, so the time that it takes tells nothing about the tokens that are good.
        caller = self._known().tokens.get(hashlib.sha256(token.strip().encode(errors="surrogatepass")).digest())
        if caller is None:
            raise _unauthenticated("metadata authorization: no caller of this server has this token, or not any more")
        return caller

    def _by_certificate(self, peer: Mapping[str, Iterable[bytes]]) -> Caller:
        names = certificate_names(peer)
        known = self._known()
        for name in names:
            if name in known.certificates:
                return known.certificates[name]
        if not names:
            raise _unauthenticated(
                "the client's certificate has no name: neither a URI, nor a DNS name, nor a common name"
            )
        if not known.unlisted:
            raise _unauthenticated(f"the client's certificate, of {names[0]!r}, is that of no caller of this server")
        return Caller(CERTIFICATE_PREFIX + names[0])


def certificate_names(peer: Mapping[str, Iterable[bytes]]) -> list[str]:
    """Read the names in a client's certificate: its URIs, then its DNS names; the common name if there are neither.

    `peer` is what the transport knows of the client. What has a colon is taken as a URI only, and a URI only if it has
    one, so that no kind of name can pass for another. Source: RFC 9525, which has the common name obsolete beside the
    others.
    """
    uris = [name for name in _texts(peer, "peer_uri") if ":" in name]
    hosts = [name for name in _texts(peer, "peer_dns") if ":" not in name]
    return [*uris, *hosts] or [name for name in _texts(peer, "x509_common_name") if ":" not in name]


def _texts(peer: Mapping[str, Iterable[bytes]], kind: str) -> list[str]:
    texts = [value.decode(errors="replace") for value in peer.get(kind, ())]
    return [text for text in texts if text and text.isprintable()]


def _unauthenticated(message: str) -> ImageError:
    return ImageError(Reason.CALLER_UNAUTHENTICATED, message)

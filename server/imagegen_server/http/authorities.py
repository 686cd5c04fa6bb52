"""Whom connections trust: the usual authorities, read once for all providers, and those of a provider's own file."""

import os
import ssl
from functools import cache

import httpx


def check_authorities(path: str) -> None:
    """Prove that a PEM file has certificates.

    :raises ValueError: it cannot be read, or has none
    """
    _add(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)


def trust(ca: str = "") -> ssl.SSLContext:
    """Give a context for HTTP/1.1 that trusts the usual authorities and those in the PEM file `ca`.

    The usual ones are those of certifi, or what SSL_CERT_FILE or SSL_CERT_DIR name. Reading them takes tens of
    milliseconds and some hundred kilobytes, so that all who trust no others share one context. Reads files.

    :raises OSError: they cannot be read
    :raises ValueError: they are none
    """
    if not ca:
        return _usual(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    context = _read_usual()
    _add(context, ca)
    return context


@cache
def _usual(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    return _read_usual()


def _read_usual() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _add(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        raise ValueError(f"ca: no certificates can be read from {path}: {error}") from error

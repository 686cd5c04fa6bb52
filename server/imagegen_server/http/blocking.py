"""A client for threads: for the package of a vendor that asks hosts of its own, such as those that issue tokens."""

import httpx

from .authorities import trust
from .transport import HttpSettings, read_proxy

DIRECT = ("metadata.google.internal", "169.254.169.254")
"""Services that a cloud has for its own machines; no proxy leads there, or one would answer for another machine."""


def open_blocking(settings: HttpSettings, seconds: float) -> httpx.Client:
    """Open a client with the proxy and the authorities of a provider, and without its headers.

    Without `proxy` in the settings each host is reached as the environment says. `seconds` is the limit of each step:
    to connect, to send, and between any two pieces of an answer. No redirect is followed. Reads files.

    :raises OSError: the authorities cannot be read
    :raises ValueError: they are none
    """
    return httpx.Client(
        verify=trust(settings.ca),
        proxy=read_proxy(settings.proxy) if settings.proxy else None,
        mounts={f"all://{host}": None for host in DIRECT},
        timeout=seconds,
    )

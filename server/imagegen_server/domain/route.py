"""Which imagegen servers a call has come through."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

VIA = "imagegen-via"
"""Metadata of a call that a server makes for a call that it serves: the ids of all servers so far, in order."""

_route: ContextVar[tuple[str, ...]] = ContextVar("route", default=())


def current_route() -> tuple[str, ...]:
    """Tell the ids of the servers that the call at hand has come through, this one last; () = none serves it."""
    return _route.get()


@contextmanager
def arriving_by(route: tuple[str, ...]) -> Iterator[None]:
    """Let `current_route` tell this one."""
    token = _route.set(route)
    try:
        yield
    finally:
        _route.reset(token)

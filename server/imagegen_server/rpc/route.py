"""Where a call comes from: servers that call each other in a ring would do so for ever."""

import re
from collections.abc import Iterable

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.route import VIA

MOST_SERVERS = 8
"""Servers that a call may come through."""

_ID = re.compile(r"[0-9a-f]{16}")


def route_of(metadata: Iterable[tuple[str, str | bytes]], server_id: str) -> tuple[str, ...]:
    """Read through which servers a call has come, with this one as the last.

    :raises ImageError: INVALID_REQUEST, it comes from here, through too many, or through what is no list of servers
    """
    given = next((str(value) for key, value in metadata if key == VIA), "")
    before = tuple(given.split(",")) if given else ()
    problem = ""
    if server_id in before:
        problem = "leads back to this server: servers name each other as providers in a ring"
    elif len(before) >= MOST_SERVERS:
        problem = f"leads through more than {MOST_SERVERS} imagegen servers"
    elif not all(_ID.fullmatch(one) for one in before):
        problem = f"comes with metadata {VIA} that is no list of servers; only they may send it"
    if problem:
        raise ImageError(Reason.INVALID_REQUEST, f"the model {problem}", violations=[Violation("model", problem)])
    return (*before, server_id)

"""Ids that cannot be guessed and tell which process made them."""

import re
import secrets
from base64 import b32encode

from imagegen_server.domain.errors import ImageError, Reason

_SHAPE = re.compile(r"[a-z]+_([a-z2-7]{8})_[0-9a-f]{32}")


class Ids:
    """Makes ids of the form kind_tag_secret. The tag names the process, the secret has 128 bits."""

    def __init__(self, *, shared: bool = False) -> None:
        """Choose this process's tag. `shared`: what other processes keep can be had here, too."""
        self.tag = b32encode(secrets.token_bytes(5)).decode().lower()
        self._shared = shared

    def new(self, kind: str) -> str:
        """Make an id: `kind` is "gen", "img" or "req"."""
        return f"{kind}_{self.tag}_{secrets.token_hex(16)}"

    def check(self, given: str, unknown: Reason) -> None:
        """See that an id could have been made here.

        :raises ImageError: as check_tag; `unknown` if it is no id at all
        """
        if not _SHAPE.fullmatch(given):
            raise ImageError(unknown, "this is no id that an imagegen server hands out")
        self.check_tag(given)

    def check_tag(self, given: str) -> None:
        """See that, if a server made an id at all, it was this one.

        :raises ImageError: WRONG_INSTANCE if another process made it, and keeps for itself what it names
        """
        if not self._shared and (match := _SHAPE.fullmatch(given)) and match[1] != self.tag:
            raise ImageError(
                Reason.WRONG_INSTANCE,
                "another server process made this id and keeps what it names in its own memory; ask that one",
            )

    def made(self, given: str) -> bool:
        """Tell whether this process made an id, or one that shares all with it may have."""
        match = _SHAPE.fullmatch(given)
        return match is not None and (self._shared or match[1] == self.tag)


def maker_of(given: str) -> str:
    """Tell the tag of the process that made an id; "" = it is none."""
    match = _SHAPE.fullmatch(given)
    return match[1] if match else ""

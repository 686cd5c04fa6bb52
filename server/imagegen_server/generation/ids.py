"""Ids that cannot be guessed and tell which process made them."""

import re
import secrets
from base64 import b32encode

from imagegen_server.domain.errors import ImageError, Reason

_SHAPE = re.compile(r"[a-z]+_([a-z2-7]{8})_[0-9a-f]{32}")


class Ids:
    """Makes ids of the form kind_tag_secret. The tag names the process, the secret has 128 bits."""

    def __init__(self) -> None:
        """Choose this process's tag."""
        self._tag = b32encode(secrets.token_bytes(5)).decode().lower()

    def new(self, kind: str) -> str:
        """Make an id: `kind` is "gen", "img" or "req"."""
        return f"{kind}_{self._tag}_{secrets.token_hex(16)}"

    def check(self, given: str, unknown: Reason) -> None:
        """See that an id could have been made here.

        :raises ImageError: WRONG_INSTANCE if another process made it, `unknown` if it is no id at all
        """
        if not _SHAPE.fullmatch(given):
            raise ImageError(unknown, "this is no id that an imagegen server hands out")
        self.check_tag(given)

    def check_tag(self, given: str) -> None:
        """See that, if a server made an id at all, it was this one.

        :raises ImageError: WRONG_INSTANCE if another process made it
        """
        if (match := _SHAPE.fullmatch(given)) and match[1] != self._tag:
            raise ImageError(
                Reason.WRONG_INSTANCE,
                "another server process made this id and keeps what it names in its own memory; ask that one",
            )

    def made(self, given: str) -> bool:
        """Tell whether this process made an id."""
        match = _SHAPE.fullmatch(given)
        return match is not None and match[1] == self._tag

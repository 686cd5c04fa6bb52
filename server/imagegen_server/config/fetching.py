"""[fetch]: what may be fetched from URLs that callers and providers give."""

from typing import Annotated

from pydantic import AfterValidator

from imagegen_server.http.allow_list import AllowList
from imagegen_server.http.guarded_fetch import FetchSettings

from .values import Seconds, Table


def _allowable(entry: str) -> str:
    AllowList([entry])
    return entry


class FetchTable(Table):
    """[fetch]."""

    allow: tuple[Annotated[str, AfterValidator(_allowable)], ...] = ()
    timeout: Seconds = 30.0

    def settings(self) -> FetchSettings:
        """The same as the fetcher knows it."""
        return FetchSettings(self.allow, self.timeout)

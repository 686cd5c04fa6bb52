"""What is set up of fal.ai beside the key: where its other two interfaces are, and the vendor's platform headers."""

import json
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urljoin, urlsplit

DOMAINS = ("fal.run", "falrun.com", "fal.ai")
"""Whose hosts get the key: the vendor's, the second being its own backup. Source: `fal-client`."""

_SISTERS = {
    "https://queue.fal.run": ("https://fal.run", "https://api.fal.ai/v1"),
    "https://queue.falrun.com": ("https://falrun.com", "https://api.fal.ai/v1"),
}
"""Where the vendor streams and lists models, by where its queue is."""


@dataclass(frozen=True, slots=True)
class FalSettings:
    """The keys of the table.

    `run_url` and `api_url` are where models stream and where they are listed: https addresses, or paths on the host of
    `base_url`, such as "/run"; "" = the vendor's, if the queue is the vendor's, else nowhere. `streaming` names models
    that stream beside those that are known to.

    `sync_mode`: pictures shall stand in the answer rather than at a public address, of models that can do so; the
    vendor then keeps no picture. `priority` of the queue. `media_seconds`: for how long the vendor keeps what it puts
    at public addresses. `store_io` False = the vendor shall keep neither requests nor answers. `start_seconds`: after
    this time in the queue the request shall fail instead of start. `retries` False = the vendor shall not try again.
    """

    run_url: str = ""
    api_url: str = ""
    streaming: tuple[str, ...] = ()
    sync_mode: bool = True
    priority: Literal["", "normal", "low"] = ""
    media_seconds: int | None = None
    store_io: bool = True
    start_seconds: float | None = None
    retries: bool = True

    def __post_init__(self) -> None:
        """Check what would otherwise fail with the first request.

        :raises ValueError: a value cannot be used
        """
        if self.media_seconds is not None and self.media_seconds < 1:
            raise ValueError("media_seconds must be at least 1")
        if self.start_seconds is not None and not self.start_seconds > 1:
            raise ValueError("start_seconds must be more than 1")
        for name, url in (("run_url", self.run_url), ("api_url", self.api_url)):
            if url and not url.startswith(("https://", "/")):
                raise ValueError(f'{name} must begin with "https://", or with "/" if it is on the host of base_url')

    @property
    def domains(self) -> tuple[str, ...]:
        """Whose hosts get the key: the vendor's, and those that the operator has named."""
        named = (urlsplit(url).hostname for url in (self.run_url, self.api_url))
        return DOMAINS + tuple(host for host in named if host)

    def run_url_beside(self, base_url: str) -> str:
        """Tell where models stream; "" = nowhere."""
        return _beside(base_url, self.run_url) or _SISTERS.get(base_url, ("", ""))[0]

    def api_url_beside(self, base_url: str) -> str:
        """Tell where models are listed; "" = nowhere."""
        return _beside(base_url, self.api_url) or _SISTERS.get(base_url, ("", ""))[1]

    def headers(self, *, queued: bool) -> dict[str, str]:
        """Say what is set up as the vendor's platform headers. Source: fal.ai/docs, common-parameters."""
        said: dict[str, str | None] = {
            "X-Fal-Object-Lifecycle-Preference": None
            if self.media_seconds is None
            else json.dumps({"expiration_duration_seconds": self.media_seconds}),
            "X-Fal-Store-IO": None if self.store_io else "0",
            "X-Fal-Request-Timeout": None if self.start_seconds is None else str(self.start_seconds),
        }
        if queued:
            said |= {
                "X-Fal-Queue-Priority": self.priority or None,
                "X-Fal-No-Retry": None if self.retries else "1",
            }
        return {name: value for name, value in said.items() if value is not None}


def _beside(base_url: str, url: str) -> str:
    """Make an address of what is set up, which may be a path; "" = nothing is."""
    return (urljoin(base_url, url) if url else "").rstrip("/")

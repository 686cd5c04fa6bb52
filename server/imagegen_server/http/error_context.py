"""What came instead of an image, as far as it may be told: without keys, without the caller's words and images."""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation

from .answer import Answer
from .retry_after import retry_after
from .status import reason_of, surely_refused

_KEY = re.compile(
    r"\b(?:(?:sk-|xai-|AIza|ya29\.|r8_|ABSK|bedrock-api-key-)[\w*.-]{4,}|A[KS]IA[A-Z0-9]{12,})",
)
"""What keys and tokens of vendors look like."""

_DATA = re.compile(r"[A-Za-z0-9+/_=-]{80,}")
"""Longer than any word, id or path of a message: an image, or a part of one."""

_LONGEST_MESSAGE = 500
_LONGEST_NAME = 100
"""Characters of a code, a parameter's name or an id."""

_SHORTEST_ECHO = 8
"""Characters of a prompt from which on its words in a message are no chance."""

_SHORTEST_SECRET = 8
"""The same of the value of a header."""

_ECHO = 16
"""The same of a part of it: a vendor may shorten what it repeats."""

MAY_COME_AGAIN = frozenset({Reason.RATE_LIMITED, Reason.PROVIDER_UNAVAILABLE, Reason.PROVIDER_ERROR})
"""A wait is told for these alone: what is wrong for ever must not look as if it were worth another try."""

_MOST_FAILURE_BYTES = 1024 * 1024
_FAILURE_SECONDS = 10.0
"""How long the body of a failure may take, once its status is there."""


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """What an error is read with. `prompt`, `key` and `header_values` are the request's: no message repeats them."""

    provider: str
    host: str
    status: int
    headers: Mapping[str, str]
    prompt: str = field(repr=False)
    key: str = field(repr=False)
    header_values: tuple[str, ...] = field(default=(), repr=False)
    """Of the headers that the operator has configured: those of a gateway in between may be secrets."""

    request_id_header: str = "x-request-id"

    @property
    def request_id(self) -> str:
        """The vendor's own id of the request; "" = it told none."""
        return self.name(self.headers.get(self.request_id_header, ""))

    def clean(self, text: str) -> str:
        """Take out what a vendor may repeat (keys, the caller's words, images) and what moves a terminal's cursor."""
        told = _without_echo(_without_keys(text, self)[: 2 * _LONGEST_MESSAGE], self.prompt)
        told = _DATA.sub("(data)", told)[:_LONGEST_MESSAGE]
        return told if told.isprintable() else "".join(letter if letter.isprintable() else " " for letter in told)

    def name(self, text: str) -> str:
        """Clean a code, an id or the name of a parameter, which is short."""
        return self.clean(text)[:_LONGEST_NAME]

    def invalid(self, what: str) -> ImageError:
        """Say that the vendor's answer is not what it should be; `what` it sent."""
        return ImageError(
            Reason.INVALID_RESPONSE,
            f"{self.host} sent {what}",
            http_status=self.status,
            provider_request_id=self.request_id,
        )

    def told(
        self,
        reason: Reason,
        message: str,
        *,
        code: str = "",
        billed: Billed | None = None,
        stage: str = "",
        wait: float | None = None,
        violations: Iterable[Violation] = (),
    ) -> ImageError:
        """Say what the vendor said, in words that were cleaned. What does not belong to the reason is left out.

        `wait` in seconds counts where another try is worth it, `violations` where the request is wrong.
        """
        return ImageError(
            reason,
            f"{self.provider}: {message or f'answered {self.status}, and not in words'}",
            billed=billed,
            stage=stage,
            http_status=self.status,
            provider_code=self.name(code),
            provider_request_id=self.request_id,
            retry_after=wait if reason in MAY_COME_AGAIN else None,
            violations=violations if reason is Reason.INVALID_REQUEST else (),
        )

    def unreadable(self) -> ImageError:
        """Say that the answer is a failure in which nothing of the vendor's own can be read."""
        refused = surely_refused(self.status)
        reason = reason_of(self.status)
        if reason is Reason.MODEL_NOT_FOUND:
            # Without the vendor's own words it is the address that leads nowhere.
            reason = Reason.PROVIDER_ERROR
        what = "is base_url right?" if refused else "a proxy in between may have said so"
        return ImageError(
            reason,
            f"{self.host} answered {self.status} without an error that can be read; {what}",
            billed=Billed.NO if refused else None,
            http_status=self.status,
            provider_request_id=self.request_id,
            retry_after=retry_after(self.headers) if reason in MAY_COME_AGAIN else None,
        )


async def read_failure(answer: Answer) -> bytes:
    """Read the body of a failure. The status alone says more than the trouble of reading it."""
    try:
        async with asyncio.timeout(_FAILURE_SECONDS):
            body, _ = await answer.read_on(_MOST_FAILURE_BYTES)
    except (ImageError, TimeoutError):
        return b""
    return body


def read_object(body: bytes) -> Mapping[str, object]:
    """Read a body as a JSON object; empty = it is none."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, Mapping) else {}


def _without_keys(text: str, context: ErrorContext) -> str:
    # The longest first: one may be a part of another.
    for secret in sorted(_secrets(context), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _KEY.sub("***", text)


def _secrets(context: ErrorContext) -> Iterator[str]:
    if context.key:
        yield context.key
    for value in context.header_values:
        # Of "Bearer abc" a vendor may repeat the second half alone.
        for secret in (value.strip(), value.strip().partition(" ")[2].strip()):
            if len(secret) >= _SHORTEST_SECRET:
                yield secret


def _without_echo(text: str, prompt: str) -> str:
    """Replace every stretch of the text that also stands in the prompt; one of short prompts only if all of it does."""
    length = min(len(prompt), _ECHO)
    if length < _SHORTEST_ECHO:
        return text
    told: list[str] = []
    at = echo_end = 0
    for start in range(len(text) - length + 1):
        if text[start : start + length] in prompt:
            if start >= echo_end:
                told += (text[at:start], "(the prompt)")
            at = echo_end = start + length
    return "".join(told) + text[at:]

"""What a failure says to people, and the exit code by which scripts know its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import grpc

from imagegen import ImageGenError, Reason

FAILED: Final = 1
USAGE: Final = 2
PARTIAL: Final = 8
INTERRUPTED: Final = 130

EXIT_CODES: Final = """\b
Exit codes:
  0    all images came
  1    another failure
  2    wrong usage, or a request that the server refuses
  3    refused by moderation
  4    authentication, permission, or a provider that is not set up
  5    rate limit, quota, or a busy server
  6    the server or the provider cannot be reached
  7    time ran out
  8    some images came and some failed
  130  cancelled
"""

_BY_REASON: Final[Mapping[str, int]] = {
    Reason.INVALID_REQUEST: USAGE,
    Reason.CONTEXT_LENGTH_EXCEEDED: USAGE,
    Reason.MODEL_NOT_FOUND: USAGE,
    Reason.OPERATION_NOT_SUPPORTED: USAGE,
    Reason.OPTION_NOT_SUPPORTED: USAGE,
    Reason.INPUT_NOT_FETCHED: USAGE,
    Reason.REQUEST_ID_REUSED: USAGE,
    Reason.IMAGE_NOT_FOUND: USAGE,
    Reason.GENERATION_NOT_FOUND: USAGE,
    Reason.CONTENT_FILTERED: 3,
    Reason.AUTHENTICATION_FAILED: 4,
    Reason.CALLER_UNAUTHENTICATED: 4,
    Reason.CALLER_NOT_ALLOWED: 4,
    Reason.PROVIDER_NOT_CONFIGURED: 4,
    Reason.RATE_LIMITED: 5,
    Reason.QUOTA_EXCEEDED: 5,
    Reason.CALLER_LIMIT_EXCEEDED: 5,
    Reason.SERVER_BUSY: 5,
    Reason.NETWORK_ERROR: 6,
    Reason.PROVIDER_UNAVAILABLE: 6,
    Reason.SHUTTING_DOWN: 6,
    Reason.STORE_UNAVAILABLE: 6,
    Reason.TIMEOUT: 7,
    Reason.DEADLINE_TOO_SHORT: 7,
    Reason.CANCELLED: INTERRUPTED,
}

_ADVICE: Final[Mapping[str, str]] = {
    Reason.AUTHENTICATION_FAILED: "The provider refused the server's key: tell the operator.",
    Reason.CALLER_UNAUTHENTICATED: "Give a token with --token-env or --token-file.",
    Reason.CALLER_NOT_ALLOWED: "Ask the operator for access.",
    Reason.PROVIDER_NOT_CONFIGURED: "'imagegen models' lists what there is.",
    Reason.MODEL_NOT_FOUND: "'imagegen models' lists what there is.",
    Reason.CONTENT_FILTERED: "Change the prompt or the image.",
    Reason.QUOTA_EXCEEDED: "The server's credit at the provider is used up: tell the operator.",
    Reason.OPTION_NOT_SUPPORTED: "Leave the option out, or do without --strict.",
    Reason.OPERATION_NOT_SUPPORTED: "'imagegen models NAME' tells what the model can do.",
    Reason.TIMEOUT: "Give more time with --timeout.",
    Reason.DEADLINE_TOO_SHORT: "Give more time with --timeout.",
    Reason.INTERNAL_ERROR: "The server's log tells more.",
    Reason.SHUTTING_DOWN: "Try again.",
    Reason.IMAGE_NOT_FOUND: "It may have expired.",
}

_NO_SERVER: Final = "Is a server running at {address}? Start 'imagegen-server serve', or name one with --address."
_NOT_TRUSTED: Final = (
    "The certificate of {address} is not trusted: --ca names a file with the roots that issued it, "
    "--tls alone trusts gRPC's default roots."
)
_OTHER_NAME: Final = (
    "The certificate is not for {address}: give --address a name that stands in it, --tls and --ca insist on that."
)
_ENDED: Final = (
    "What listens at {address} ended the TLS connection that --tls or --ca asked for. Does it want a client "
    "certificate? The command cannot give one; the Python client can, by grpc.ssl_channel_credentials."
)
_NO_TLS: Final = "What listens at {address} speaks no TLS: leave --tls and --ca out."
_NO_GRPC: Final = "What listens at {address} speaks TLS but not gRPC. Is the port right?"
_NO_CLEAR_TEXT: Final = (
    "What listens at {address} speaks no gRPC in clear text. Does it speak TLS? "
    "Then give --tls, or --ca with a file of its roots."
)

_NOT_CONNECTED: Final = "failed to connect to all addresses"
"""How gRPC begins to say that there never was a connection. Below: how it goes on, in 1.71 or since."""
_BY_WORDS_OVER_TLS: Final[Mapping[str, str]] = {
    "CERTIFICATE_VERIFY_FAILED": _NOT_TRUSTED,
    "Hostname Verification Check failed": _OTHER_NAME,
    "is not in peer certificate": _OTHER_NAME,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "missing selected ALPN property": _NO_GRPC,
    "Socket closed": _ENDED,
    "Connection reset by peer": _ENDED,
    "CERTIFICATE_REQUIRED": _ENDED,
}
_BY_WORDS_IN_CLEAR_TEXT: Final[Mapping[str, str]] = {
    "Socket closed": _NO_CLEAR_TEXT,
    "Connection reset by peer": _NO_CLEAR_TEXT,
    "http1.x server": _NO_CLEAR_TEXT,
    "Failed parsing HTTP/2": _NO_CLEAR_TEXT,
}


def exit_code(error: ImageGenError) -> int:
    """The exit code for a failure; a reason that this client does not know is another failure."""
    return _BY_REASON.get(error.reason, FAILED)


def describe(error: ImageGenError, address: str, *, tls: bool) -> str:
    """One line: the reason, what happened, what to do, whether it may have cost money, and the ids for support."""
    parts = [_sentence(" ".join(str(error).split()))]
    if error.reason == Reason.NETWORK_ERROR and error.code is grpc.StatusCode.UNAVAILABLE and not error.provider:
        parts.append(_why_unreachable(error.message, tls=tls).format(address=address))
    elif error.retry_delay is not None:
        parts.append(f"Try again in {error.retry_delay:g} s.")
    elif error.reason in _ADVICE:
        parts.append(_ADVICE[error.reason])
    if error.billed != "no":
        parts.append("It was billed." if error.billed == "yes" else "It may have been billed.")
    ids = {
        "generation": error.generation_id,
        "request": error.request_id,
        "provider": error.provider,
        "provider request": error.metadata.get("provider_request_id", ""),
    }
    told = ", ".join(f"{name} {value}" for name, value in ids.items() if value)
    line = " ".join(parts) + (f" [{told}]" if told else "")
    # Providers' texts reach the terminal from here; control sequences among them must not.
    return "".join(character if character.isprintable() else " " for character in line)


def _why_unreachable(told: str, *, tls: bool) -> str:
    """What stands in the way to a server, by what gRPC tells of it."""
    if told.startswith(_NOT_CONNECTED):
        for words, why in (_BY_WORDS_OVER_TLS if tls else _BY_WORDS_IN_CLEAR_TEXT).items():
            if words in told:
                return why
    return _NO_SERVER


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."

"""What an HTTP status means where the body says nothing better."""

from imagegen_server.domain.errors import Reason

_REASONS = {
    400: Reason.INVALID_REQUEST,
    401: Reason.AUTHENTICATION_FAILED,
    402: Reason.QUOTA_EXCEEDED,
    403: Reason.AUTHENTICATION_FAILED,
    404: Reason.MODEL_NOT_FOUND,
    408: Reason.TIMEOUT,
    409: Reason.INVALID_REQUEST,
    413: Reason.CONTEXT_LENGTH_EXCEEDED,
    422: Reason.INVALID_REQUEST,
    429: Reason.RATE_LIMITED,
    451: Reason.CONTENT_FILTERED,
    503: Reason.PROVIDER_UNAVAILABLE,
    524: Reason.TIMEOUT,
    529: Reason.PROVIDER_UNAVAILABLE,
}
"""RFC 9110 section 15; 524 is what a proxy in front of vendors says whose patience ended, 529 what some
vendors say when they are overloaded.

502 and 504 come from a proxy that may have handed the request on, so they are no PROVIDER_UNAVAILABLE.
"""


def reason_of(status: int) -> Reason:
    """Name the reason that a status stands for; PROVIDER_ERROR for all that have no better name."""
    return _REASONS.get(status, Reason.PROVIDER_ERROR)


def surely_refused(status: int) -> bool:
    """Tell whether a status says that nothing was done: any redirect, and a client error other than 408."""
    return 300 <= status < 500 and status != 408  # noqa: PLR2004 - classes of RFC 9110

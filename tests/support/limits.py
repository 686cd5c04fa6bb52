"""What comes of asking for more than a caller may have."""

from collections.abc import Awaitable

from imagegen_server.domain.errors import ImageError, Reason


async def error_of(call: Awaitable[object]) -> ImageError | None:
    """Tell why a call is refused; None = it is not."""
    try:
        await call
    except ImageError as error:
        return error
    return None


async def over_limit(call: Awaitable[object]) -> ImageError:
    """Make a call that must be refused for its caller's limits."""
    error = await error_of(call)
    assert error is not None
    assert error.reason is Reason.CALLER_LIMIT_EXCEEDED
    return error

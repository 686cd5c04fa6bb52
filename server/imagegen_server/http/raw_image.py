"""Answers that are a picture themselves, as vendors give them who are asked for `image/*`.

Facts about such a picture stand in headers; what is wrong is told as JSON all the same.
"""

from imagegen_server.domain.errors import ImageError
from imagegen_server.images.facts import is_truncated, read_facts

from .error_context import ErrorContext

_END_TELLS = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
"""Types whose files tell where they end."""


def picture_in(body: bytes, media_type: str, context: ErrorContext, fault: ImageError | None = None) -> bytes | None:
    """Take a body that is a picture; None = it is something else, and does not claim to be one.

    The bytes decide, whatever they are called. `media_type` is that of the answer, `fault` what ended it too early,
    which does not matter behind the last byte of the file.

    :raises ImageError: INVALID_RESPONSE: it is called a picture and is none; or `fault`
    """
    facts = read_facts(body)
    if facts is not None:
        if fault and (facts.media_type not in _END_TELLS or is_truncated(body, facts.media_type)):
            raise fault
        return body
    if media_type.startswith("image/"):
        raise fault or context.invalid(f"{context.name(media_type)} that is no picture")
    return None

"""What is read out of an answer that shows that the vendor has taken the task on."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import ProviderEvent

from .base import Call


async def accepted_events(
    events: AsyncGenerator[ProviderEvent, None], call: Call, request_id: Callable[[], str]
) -> AsyncGenerator[ProviderEvent, None]:
    """Pass on what an answer with a status of success holds.

    The first event shows that it is no error, and so that the vendor has taken the task on. `request_id` tells the
    vendor's own id; errors get it as well: of a connection that breaks nobody but the vendor's support knows what
    became, and they ask for this.

    :raises ImageError: what `events` raises
    """
    try:
        async with aclosing(events):
            async for event in events:
                call.accepted(request_id())
                yield event
    except ImageError as error:
        error.provider_request_id = error.provider_request_id or request_id()
        raise

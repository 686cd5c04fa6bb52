"""A middleware in one file: the rules of a house for every picture, whoever asks and whichever provider draws.

[middleware.house]
refused_words = ["gore", "rival brand"]
style = "flat colours, thick outlines"
previews = false
"""

import re
from dataclasses import dataclass, replace

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.events import Preview
from imagegen_server.domain.task import Operation
from imagegen_server.generation.middleware import Context, Middleware, StreamEvent
from imagegen_server.generation.middleware_types import MiddlewareType


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """Keys of the table.

    `refused_words`: words and phrases that no prompt may have, in any case. `style`: added to every prompt that makes a
    new picture. `previews`: whether callers see pictures that are not finished.
    """

    refused_words: tuple[str, ...] = ()
    style: str = ""
    previews: bool = True


class House(Middleware):
    """Keeps the rules."""

    def __init__(self, name: str, settings: HouseSettings) -> None:
        """Stand under `name` in the configuration.

        :raises ValueError: a word is empty
        """
        super().__init__(name)
        if not all(word.strip() for word in settings.refused_words):
            raise ValueError("refused_words: one of them is empty")
        words = "|".join(r"\s+".join(map(re.escape, word.split())) for word in settings.refused_words)
        self._refused = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None
        self._style = settings.style
        self._previews = settings.previews

    async def on_request(self, context: Context) -> None:
        """Refuse a prompt, or put another in its place. Nothing has been spent yet."""
        request = context.request
        if self._refused and self._refused.search(request.prompt):
            # Not the word itself: errors show no prompts.
            rule = "has a word that this server does not draw"
            raise ImageError(
                Reason.CONTENT_FILTERED,
                f"input.prompt: {rule}",
                stage="input",
                violations=[Violation("input.prompt", rule)],
            )
        if self._style and request.operation is Operation.GENERATE:
            context.request = replace(request, prompt=f"{request.prompt}\n{self._style}")

    async def on_stream_event(self, context: Context, event: StreamEvent) -> StreamEvent | None:  # noqa: ARG002
        """Drop what is not finished."""
        return None if isinstance(event, Preview) and not self._previews else event

    async def on_response(self, context: Context) -> None:
        """Say in the result which rules were kept."""
        response = context.response
        assert response is not None
        context.response = replace(response, metadata={**response.metadata, self.name: {"style": self._style}})


MIDDLEWARE = MiddlewareType(name="house", settings=HouseSettings, build=House)

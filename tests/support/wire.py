"""The recorded shapes of vendors' answers in tests/providers/VENDOR/wire, ready to be said by a fake."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .vendor import Answer

PROVIDERS = Path(__file__).parents[1] / "providers"


@dataclass(frozen=True, slots=True)
class WireFixture:
    """One answer and what it means. README.md in the folder tells the form."""

    name: str
    content: dict[str, Any]

    @property
    def operation(self) -> str:
        """What was asked: "generate", "stream_generate", "edit" or "stream_edit"."""
        return str(self.content["operation"])

    @property
    def count(self) -> int:
        """Images asked for."""
        return int(self.content.get("n", 1))

    @property
    def partial_images(self) -> int:
        """Previews asked for."""
        return int(self.content.get("partial_images", 0))

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return int(self.content["status"])

    @property
    def expect(self) -> dict[str, Any]:
        """What a reader must make of it."""
        return dict(self.content["expect"])

    @property
    def pieces(self) -> list[bytes]:
        """The body, event by event if it is a stream."""
        if "events" in self.content:
            return [_event(event) for event in self.content["events"]]
        if "body_json" in self.content:
            return [json.dumps(self.content["body_json"], ensure_ascii=False).encode()]
        return [self.content["body"].encode()]

    def answer(self) -> Answer:
        """Make what the fake says."""
        breaks_off = bool(self.content.get("breaks_off"))
        # Without a second piece there would be a Content-Length, and nothing to break off.
        chunked = [b""] if breaks_off or "events" in self.content else []
        return Answer(self.status, self.content["headers"], [*chunked, *self.pieces], breaks_off=breaks_off)


def wire_fixtures(vendor: str) -> list[WireFixture]:
    """Read all of one vendor, by name."""
    paths = sorted((PROVIDERS / vendor / "wire").glob("*.json"))
    return [WireFixture(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def _event(event: str | dict[str, Any]) -> bytes:
    if isinstance(event, str):
        return event.encode()
    name = f"event: {event['event']}\n" if "event" in event else ""
    return f"{name}data: {json.dumps(event['data'], ensure_ascii=False)}\n\n".encode()

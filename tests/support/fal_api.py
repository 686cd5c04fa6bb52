"""A fake of fal.ai on a loopback port: its queue, its streams and its list of models.

As strict as fal.ai/docs (queue, streaming, errors, platform headers, model search) and the types of `@fal-ai/client`
say, and stricter: a field that a model does not have is refused. `fal-client` is held against it in
tests/providers/fal.
"""

import asyncio
import base64
import binascii
import io
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from PIL import Image

from .fal_models import MODELS, list_body, schema_of
from .openai_wire import picture
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, event_answer, json_answer, running
from .wire import WireFixture

KEY = "0f1e2d3c-fa1-key:0123456789abcdef0123456789abcdef"
SEED = 1234567
PARTIALS = 3
"""Events of a stream before the last."""
UNITS = "1.25"
SIDE = 16
COMPLETED = {"status": "COMPLETED", "logs": None}

_HEADERS = {
    "x-fal-queue-priority": r"low|normal",
    "x-fal-request-timeout": r"[0-9]+(?:\.[0-9]+)?",
    "x-fal-store-io": r"0",
    "x-fal-no-retry": r"1",
    "x-fal-object-lifecycle-preference": r'\{"expiration_duration_seconds": [1-9][0-9]*\}',
}
_REQUEST = re.compile(r"/queue/([\w.-]+/[\w.-]+)/requests/([0-9a-f-]{36})(/status|/cancel)?")
_RUN = re.compile(r"/run/(.+)/stream")
_DATA_URL = re.compile(r"data:image/(png|jpeg|webp|gif);base64,(.+)")


def detail(message: str, error_type: str = "") -> dict[str, Any]:
    """Write an error of the platform."""
    return {"detail": message} | ({"error_type": error_type} if error_type else {})


def model_error(kind: str, message: str, *place: str | int, **more: Any) -> dict[str, Any]:
    """Write an error of a model."""
    url = f"https://docs.fal.ai/errors#{kind}"
    return {"detail": [{"loc": ["body", *place], "msg": message, "type": kind, "url": url, **more}]}


@dataclass
class Work:
    """A request in the queue: what it will be answered with, and how often it was asked after."""

    app: str
    status: int
    body: dict[str, Any]
    asked: int = 0


@dataclass
class Queue:
    """What the fake says of work, answer by answer; the last one stays."""

    statuses: Sequence[Mapping[str, Any]] = (
        {"status": "IN_QUEUE", "queue_position": 2},
        {"status": "IN_PROGRESS"},
        {"status": "COMPLETED", "metrics": {"inference_time": 0.5}},
    )
    works: dict[str, Work] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    called_off: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the vendor was asked to stop something."""


class FakeFal(FakeVendor):
    """One loopback server: the queue with pictures below /queue, streams below /run, the list below /v1."""

    def __init__(self) -> None:
        """Know one key, and no work."""
        super().__init__("/queue")
        self.queue = Queue()
        self._numbers = count(1)

    def headers(self) -> dict[str, str]:
        """See FakeVendor."""
        return {"x-fal-request-id": f"req-{next(self._numbers)}"}

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        if call.path.startswith("/queue/files/"):
            return self._file(call)
        self._check_head(call)
        if (call.method, call.path) == ("GET", "/v1/models"):
            return self._list(call)
        if found := _REQUEST.fullmatch(call.path):
            return self._ask(call, found)
        if call.method == "POST" and (found := _RUN.fullmatch(call.path)):
            return self._stream(call, found[1], checks_only=checks_only)
        if call.method == "POST" and call.path.startswith("/queue/"):
            return self._submit(call, call.path.removeprefix("/queue/"))
        raise RefusalError(404, detail(f"Path {call.path} not found"))

    def _list(self, call: RecordedRequest) -> Answer:
        body = list_body(call.query)
        if body is None:
            raise RefusalError(400, {"error": {"type": "validation_error", "message": "Invalid query"}})
        return json_answer(200, body)

    def _check_head(self, call: RecordedRequest) -> None:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if not key:
            raise RefusalError(401, detail("Authentication is required to access this application."))
        if scheme != "Key" or key != KEY:
            raise RefusalError(401, detail("No user found for Key ID and Secret"))
        for name, value in call.headers.items():
            form = _HEADERS.get(name.lower())
            if name.lower().startswith("x-fal-") and not (form and re.fullmatch(form, value)):
                raise RefusalError(400, detail(f"Invalid header {name}", "bad_request"))

    def _submit(self, call: RecordedRequest, model_id: str) -> Answer:
        status, body = answer_of(model_id, _json(call), self.base_url)
        app, request_id = "/".join(model_id.split("/")[:2]), f"00000000-0000-4000-8000-{len(self.queue.works):012d}"
        self.queue.works[request_id] = Work(app, status, body)
        return json_answer(200, self._names(app, request_id) | {"status": "IN_QUEUE", "queue_position": 0})

    def _names(self, app: str, request_id: str) -> dict[str, Any]:
        url = f"{self.base_url}/{app}/requests/{request_id}"
        return {
            "request_id": request_id,
            "response_url": url,
            "status_url": f"{url}/status",
            "cancel_url": f"{url}/cancel",
        }

    def _ask(self, call: RecordedRequest, found: re.Match[str]) -> Answer:
        app, request_id, what = found.groups()
        work = self.queue.works.get(request_id)
        if work is None or work.app != app:
            raise RefusalError(404, {"status": "NOT_FOUND"} if what == "/cancel" else detail("Request not found"))
        if (call.method, what) == ("PUT", "/cancel"):
            self.queue.cancelled.append(request_id)
            self.queue.called_off.set()
            return json_answer(202, {"status": "CANCELLATION_REQUESTED"})
        if call.method != "GET":
            raise RefusalError(405, detail("Method Not Allowed"))
        statuses = self.queue.statuses
        if what:
            said = dict(statuses[min(work.asked, len(statuses) - 1)])
            work.asked += 1
            done = said["status"] == "COMPLETED"
            logs = {} if said["status"] == "IN_QUEUE" else {"logs": None}
            return json_answer(200 if done else 202, said | self._names(app, request_id) | logs)
        if work.asked < len(statuses):
            raise RefusalError(400, detail("Request is still in progress"))
        return json_answer(work.status, work.body, {"x-fal-billable-units": UNITS})

    def _stream(self, call: RecordedRequest, model_id: str, *, checks_only: bool) -> Answer:
        model = MODELS.get(model_id)
        if model is None or not model.streams:
            raise RefusalError(404, detail(f"Path /{'/'.join(model_id.split('/')[2:])}/stream not found"))
        if "text/event-stream" not in call.headers.get("accept", ""):
            raise RefusalError(400, detail("This path answers with a stream of events"))
        status, body = answer_of(model_id, _json(call), self.base_url)
        if status != 200:
            raise RefusalError(status, body)
        if checks_only:
            return Answer()
        shown = [body | {"images": images} for images in _partials(body["images"])]
        return event_answer(*(event(payload) for payload in (*shown, body)))

    def _file(self, call: RecordedRequest) -> Answer:
        if call.headers.get("authorization") or call.method != "GET":
            raise RefusalError(400, detail("a picture at a public address was asked for with a key"))
        kind, shade = call.path.removeprefix("/queue/files/").split("-")
        return Answer(200, {"content-type": f"image/{kind}"}, [picture((SIDE, SIDE), kind, int(shade))])


def event(payload: object) -> bytes:
    """Write one event of a stream."""
    return f"data: {json.dumps(payload)}\n\n".encode()


def answer_of(model_id: str, body: dict[str, Any], base_url: str) -> tuple[int, dict[str, Any]]:
    """Run a model: the status and the body that it answers.

    :raises RefusalError: there is no such model
    """
    schema = schema_of(model_id)
    if schema is None:
        app = model_id.split("/")[1] if "/" in model_id else model_id
        raise RefusalError(404, detail(f'Application "{app}" not found'))
    errors = sorted(Draft202012Validator(schema).iter_errors(body), key=lambda error: str(error.json_path))
    if errors:
        return 422, {"detail": [_told(error) for error in errors]}
    for name in ("image_url", "image_urls", "mask_url", "mask_image_url"):
        given = body.get(name, [])
        for position, url in enumerate([given] if isinstance(given, str) else given):
            place = (name,) if isinstance(given, str) else (name, position)
            if not _is_image(url):
                return 422, model_error("image_load_error", "Image load error", *place, input=url[:40])
    if "forbidden" in body.get("prompt", ""):
        message = "The content could not be processed because it contained material flagged by a content checker."
        return 422, model_error("content_policy_violation", message, "prompt", input=body["prompt"])
    return 200, _drawn(model_id, body, base_url)


def _drawn(model_id: str, body: dict[str, Any], base_url: str) -> dict[str, Any]:
    kind = body.get("output_format", "png")
    images = [
        {
            "url": _url(kind, shade, base_url, inside=body.get("sync_mode", False)),
            "width": SIDE,
            "height": SIDE,
            "content_type": f"image/{kind}",
        }
        for shade in range(body.get("num_images", 1))
    ]
    if MODELS[model_id].terse:
        return {"images": images, "description": "Here it is."}
    return {
        "images": images,
        "timings": {"inference": 0.5},
        "seed": body.get("seed", SEED),
        "has_nsfw_concepts": [False] * len(images),
        "prompt": body.get("prompt", ""),
    }


def _partials(images: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Show other shades of the pictures, which are inside whatever was asked for."""
    return [
        [image | {"url": _url("jpeg", 100 + 10 * step + index, "", inside=True)} for index, image in enumerate(images)]
        for step in range(PARTIALS)
    ]


def _url(kind: str, shade: int, base_url: str, *, inside: bool) -> str:
    if not inside:
        return f"{base_url}/files/{kind}-{shade}"
    return f"data:image/{kind};base64,{base64.b64encode(picture((SIDE, SIDE), kind, shade)).decode()}"


def _told(error: ValidationError) -> dict[str, Any]:
    """Say what is wrong as pydantic does in the vendor's models."""
    kinds = {"required": "missing", "enum": "one_of", "anyOf": "one_of", "maximum": "less_than_equal"}
    missing = re.match(r"'(\w+)' is a required", error.message) if error.validator == "required" else None
    unknown = re.search(r"'(\w+)' w", error.message) if error.validator == "additionalProperties" else None
    named = missing or unknown
    place = [*error.absolute_path, *([named[1]] if named else [])]
    kind = "extra_forbidden" if unknown else kinds.get(str(error.validator), "value_error")
    return {"loc": ["body", *place], "msg": "Field required" if missing else "Input is wrong", "type": kind}


def _is_image(url: str) -> bool:
    found = _DATA_URL.fullmatch(url)
    if not found:
        return False
    try:
        return Image.open(io.BytesIO(base64.b64decode(found[2], validate=True))).format == found[1].upper()
    except (binascii.Error, OSError):
        return False


def _json(call: RecordedRequest) -> dict[str, Any]:
    if call.media_type != "application/json":
        raise RefusalError(422, model_error("value_error", "Input should be a valid dictionary"))
    body: dict[str, Any] = call.json
    return body


@asynccontextmanager
async def fake_fal() -> AsyncIterator[FakeFal]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeFal()) as fake:
        yield fake


def submitted(fake: FakeFal, **changes: Any) -> Answer:
    """Say that a request was taken on whose id nobody knows; what is None in `changes` is left out."""
    place = f"{fake.base_url}/fal-ai/flux/requests/r-1"
    urls = {"response_url": place, "status_url": f"{place}/status", "cancel_url": f"{place}/cancel"}
    said: Mapping[str, Any] = {"status": "IN_QUEUE", "request_id": "r-1", **urls} | changes
    return json_answer(200, {name: value for name, value in said.items() if value is not None})


def said(status: int, body: object) -> Answer:
    """Say this whatever is asked."""
    return replace(json_answer(status, body), checks=False)


def said_by(fixture: WireFixture, fake: FakeFal) -> list[Answer]:
    """Say what a fixture holds, at the step that it is an answer of: by default the work's own answer."""
    answer = replace(fixture.answer(), checks=False)
    if fixture.content.get("step", "answer") != "answer":
        return [answer]
    failed = {"error": "it failed"} if fixture.status >= 400 else {}
    return [submitted(fake), said(200, COMPLETED | failed), answer]

"""A fake of Replicate on a loopback port: predictions, files, models, collections, and where pictures lie.

As strict as the HTTP reference and the OpenAPI documents of models say, and stricter: an input that a model does not
have is refused. The vendor's own package is held against it in tests/providers/replicate.
"""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from .openai_wire import picture
from .recording import RecordedRequest
from .replicate_input import check_input, failure_of, invalid, problem
from .replicate_models import COLLECTIONS, MODELS, is_official, model_body, version_body, version_of
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running
from .wire import WireFixture

KEY = "r8_0123456789abcdefghijklmnopqrstuvwxyzA"
SEED = 1234567
SIDE = 16
PREDICT_SECONDS = 1.25

_MODEL = r"([\w.-]+/[\w.-]+)"
_PREDICTION = re.compile(r"/v1/predictions/(\w+)(/cancel)?")
_CREATE = re.compile(rf"/v1/models/{_MODEL}/predictions")
_MODEL_PATH = re.compile(rf"/v1/models/{_MODEL}(?:/versions/(\w+))?")
_CANCEL_AFTER = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s?)?")
_PREFER = re.compile(r"wait(?:=([0-9]+))?")
_ALLOWED = {"input", "version", "webhook", "webhook_events_filter", "stream"}


@dataclass
class Prediction:
    """A prediction: what it was asked for, and how often it was asked after."""

    prediction_id: str
    model_id: str
    given: dict[str, Any]
    pinned: bool
    urls: list[str]
    error: str | None
    asked: int = 0
    canceled: bool = False


@dataclass
class Work:
    """What the fake says of predictions, answer by answer; the last one stays. The first is said when it is created."""

    statuses: Sequence[str] = ("starting", "processing", "succeeded")
    predictions: dict[str, Prediction] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    called_off: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the vendor was asked to stop something."""

    @property
    def canceled(self) -> list[str]:
        """Predictions that were called off."""
        return [number for number, prediction in self.predictions.items() if prediction.canceled]


class FakeReplicate(FakeVendor):
    """One loopback server: the API below /v1, and the pictures below /delivery."""

    def __init__(self) -> None:
        """Know one key, and no predictions."""
        super().__init__("/v1")
        self.work = Work()
        self.collections = COLLECTIONS
        self.inside = False
        """Pictures stand in the answer, as some models have it."""

    @property
    def origin(self) -> str:
        """Where the server is."""
        return self.base_url.removesuffix(self.prefix)

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:  # noqa: ARG002 - nothing here is slow
        """See FakeVendor."""
        if call.path.startswith("/delivery/"):
            return self._picture(call)
        self._check_key(call)
        if call.method == "GET":
            return self._tell(call)
        if call.method != "POST":
            raise problem(405, f'Method "{call.method}" not allowed.')
        if found := _PREDICTION.fullmatch(call.path):
            if not found[2]:
                raise problem(405, 'Method "POST" not allowed.')
            return self._cancel(call, found[1])
        if call.path == "/v1/files":
            return self._upload(call)
        return self._create(call)

    def _check_key(self, call: RecordedRequest) -> None:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if not key:
            raise problem(401, "You did not pass an authentication token", "Unauthenticated")
        if scheme not in ("Bearer", "Token") or key != KEY:
            raise problem(401, "You did not pass a valid authentication token", "Unauthenticated")

    def _tell(self, call: RecordedRequest) -> Answer:
        if found := _PREDICTION.fullmatch(call.path):
            return json_answer(200, self._next(self._found(found[1])))
        if call.path.startswith("/v1/collections/"):
            slug = call.path.removeprefix("/v1/collections/")
            if slug in self.collections:
                models = [model_body(model_id, listed=True) for model_id in self.collections[slug]]
                return json_answer(200, {"name": slug, "slug": slug, "description": "", "models": models})
        if (found := _MODEL_PATH.fullmatch(call.path)) and found[1] in MODELS:
            if not found[2]:
                return json_answer(200, model_body(found[1]))
            if found[2] == version_of(found[1]):
                return json_answer(200, version_body(found[1]))
        raise problem(404, "The requested resource could not be found.", "Not found")

    def _create(self, call: RecordedRequest) -> Answer:
        by_model = _CREATE.fullmatch(call.path)
        if not by_model and call.path != "/v1/predictions":
            raise problem(404, "The requested resource could not be found.", "Not found")
        held = self._check_head(call)
        body = call.json
        unknown = sorted(set(body) - (_ALLOWED - {"version"} if by_model else _ALLOWED))
        if unknown:
            what = f"Additional property {unknown[0]} is not allowed"
            raise invalid(("additional_property_not_allowed", "", what))
        if "input" not in body:
            raise invalid(("required", "", "input is required"))
        model_id = by_model[1] if by_model else self._model_of(body)
        if model_id not in MODELS or (by_model and not is_official(model_id)):
            raise problem(404, "The requested resource could not be found.", "Not found")
        given = body["input"]
        check_input(model_id, given, self.work.files, self.base_url)
        number = f"p{len(self.work.predictions):025d}"
        prediction = Prediction(
            number, model_id, given, not by_model, self._drawn(model_id, given), failure_of(given.get("prompt", ""))
        )
        self.work.predictions[number] = prediction
        if held:
            prediction.asked = len(self.work.statuses) - 1
        return json_answer(201, self._next(prediction))

    def _check_head(self, call: RecordedRequest) -> bool:
        """Look at what else is asked for; tells whether the request is held until the prediction has ended."""
        if call.media_type != "application/json":
            raise problem(415, f'Unsupported media type "{call.media_type}" in request.')
        after, prefer = call.headers.get("cancel-after"), call.headers.get("prefer")
        if after is not None:
            found = _CANCEL_AFTER.fullmatch(after)
            hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
            if not 5 <= hours * 3600 + minutes * 60 + seconds <= 24 * 3600:
                raise problem(422, "Cancel-After must be between 5s and 24h", "Invalid header")
        held = _PREFER.fullmatch(prefer) if prefer is not None else None
        if prefer is not None and not (held and 1 <= int(held[1] or 60) <= 60):
            raise problem(422, "Prefer must be wait, or wait=n with n between 1 and 60", "Invalid header")
        return held is not None

    def _model_of(self, body: Mapping[str, Any]) -> str:
        if "version" not in body:
            raise invalid(("required", "", "version is required"))
        name, _, version = str(body["version"]).rpartition(":")
        found = [model_id for model_id in MODELS if version_of(model_id) == version and name in {"", model_id}]
        if not found:
            detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
            raise problem(422, detail, "Invalid version or not permitted")
        # Official models share a version here; which is meant is told by its name, or else by what it is given.
        return next(
            (model_id for model_id in found if set(body["input"]) <= set(MODELS[model_id].properties)), found[0]
        )

    def _drawn(self, model_id: str, given: Mapping[str, Any]) -> list[str]:
        model, kind = MODELS[model_id], given.get("output_format", "png").replace("jpg", "jpeg")
        count = model.steps or given.get("num_outputs", given.get("number_of_images", 1))
        if self.inside:
            pictures = [picture((SIDE, SIDE), kind, shade) for shade in range(count)]
            return [f"data:image/{kind};base64,{base64.b64encode(data).decode()}" for data in pictures]
        return [f"{self.origin}/delivery/{kind}-{shade}" for shade in range(count)]

    def _next(self, prediction: Prediction) -> dict[str, Any]:
        statuses = self.work.statuses
        status = statuses[min(prediction.asked, len(statuses) - 1)]
        if prediction.canceled:
            status = "canceled"
        elif status == "succeeded" and prediction.error:
            status = "failed"
        prediction.asked += 1
        return self.body_of(prediction, status)

    def body_of(self, prediction: Prediction, status: str) -> dict[str, Any]:
        """Write what the vendor says of a prediction."""
        model, begun = MODELS[prediction.model_id], status not in ("starting", "aborted")
        output: object = None
        if status == "succeeded":
            output = prediction.urls if model.several or model.steps else prediction.urls[0]
        elif status == "processing" and model.steps:
            output = prediction.urls[: min(prediction.asked - 1, model.steps - 1)]
        seed = prediction.given.get("seed", SEED)
        logs = f"Using seed: {seed}\n 25%|##5       | 1/4 [00:00<00:00, 6.94it/s]\n 50%|#####     | 2/4 [00:00<00:00]"
        ended = status not in ("starting", "processing")
        url = f"{self.base_url}/predictions/{prediction.prediction_id}"
        return {
            "id": prediction.prediction_id,
            "model": prediction.model_id,
            "version": version_of(prediction.model_id) if prediction.pinned else "hidden",
            "input": prediction.given,
            "logs": logs if begun and model.seeds else "",
            "output": output,
            "data_removed": False,
            "error": prediction.error if status == "failed" else None,
            "source": "api",
            "status": status,
            "created_at": "2026-11-28T07:03:05.123Z",
            "started_at": "2026-11-28T07:03:06.123Z" if begun else None,
            "completed_at": "2026-11-28T07:03:08.123Z" if ended else None,
            "urls": {
                "cancel": f"{url}/cancel",
                "get": url,
                "web": f"https://replicate.com/p/{prediction.prediction_id}",
            },
            "metrics": {"predict_time": PREDICT_SECONDS, "total_time": 2.5} if ended else {},
        }

    def _found(self, number: str) -> Prediction:
        prediction = self.work.predictions.get(number)
        if prediction is None:
            raise problem(404, "The requested resource could not be found.", "Not found")
        return prediction

    def _cancel(self, call: RecordedRequest, number: str) -> Answer:
        prediction = self._found(number)
        if call.body:
            raise problem(400, "a request to cancel has no body")
        prediction.canceled = True
        self.work.called_off.set()
        return json_answer(200, self.body_of(prediction, "canceled"))

    def _upload(self, call: RecordedRequest) -> Answer:
        contents = [part for part in call.parts if part.name == "content"]
        if len(contents) != 1 or not contents[0].filename or not contents[0].content_type:
            raise problem(400, "Missing content", "Bad request")
        number = f"f{len(self.work.files):025d}"
        self.work.files[number] = contents[0].data
        return json_answer(
            201,
            {
                "id": number,
                "name": contents[0].filename,
                "content_type": contents[0].content_type,
                "size": len(contents[0].data),
                "etag": "e",
                "checksums": {"sha256": "0" * 64},
                "metadata": {},
                "created_at": "2026-11-28T07:03:05.123Z",
                "expires_at": "2026-11-29T07:03:05.123Z",
                "urls": {"get": f"{self.base_url}/files/{number}"},
            },
        )

    def _picture(self, call: RecordedRequest) -> Answer:
        if call.headers.get("authorization") or call.method != "GET":
            raise RefusalError(400, {"detail": "a picture was asked for with a key"})
        kind, _, shade = call.path.removeprefix("/delivery/").partition("-")
        return Answer(200, {"content-type": f"image/{kind}"}, [picture((SIDE, SIDE), kind, int(shade))])


@asynccontextmanager
async def fake_replicate() -> AsyncIterator[FakeReplicate]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeReplicate()) as fake:
        yield fake


def told(fake: FakeReplicate, **changes: Any) -> dict[str, Any]:
    """Write what is said of a prediction that the fake does not know."""
    model_id = "black-forest-labs/flux-schnell"
    prediction = Prediction("p1", model_id, {"prompt": "a boat"}, pinned=False, urls=[], error=None)
    return fake.body_of(prediction, "starting") | changes


def said(status: int, body: object) -> Answer:
    """Say this whatever is asked."""
    return replace(json_answer(status, body), checks=False)


def said_by(fixture: WireFixture, fake: FakeReplicate) -> list[Answer]:
    """Say what a fixture holds. README.md of its folder tells the keys."""
    if fixture.content["step"] == "create":
        return [replace(fixture.answer(), checks=False)]
    content = json.loads(json.dumps(fixture.content).replace("{origin}", fake.origin))
    earlier = [said(200, told(fake, **changes)) for changes in content.get("earlier", [])]
    created = said(201, told(fake, status="starting"))
    if fixture.content["step"] == "ask":
        return [created, *earlier, *[replace(fixture.answer(), checks=False) for _ in range(content.get("again", 1))]]
    return [created, *earlier, said(200, told(fake, **content["prediction"]))]

"""A fake of Black Forest Labs' API on a loopback port.

As strict as the vendor's OpenAPI document, and stricter in one thing: a field that a model does not have is refused
everywhere, which the vendor does for some models and overlooks for the others. The rules for sizes that only its pages
name are kept, too. The official package `blackforest` and a copy of the document are held against it in
tests/providers/bfl.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from .bfl_fields import MODELS, opened
from .openai_wire import picture
from .recording import RecordedRequest, recorded
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

KEY = "bfl_test_key_0123456789abcdef"
CREDITS = 4.5
"""What an image costs here: 0.045 USD."""
SEED = 1_234_567

_PNG_BY_ITSELF = ("flux-3", "flux-kontext", "flux-tools/outpainting", "flux-tools/erase", "flux-tools/deblur")
_NULLABLE_SEED = frozenset({"seed", "prompt", "output_format", "aspect_ratio", "width", "height"})
_MOST_PIXELS = 2048 * 2048


class FakeBFL(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say. A task is ready when asked after."""

    def __init__(self) -> None:
        """Know one key."""
        super().__init__()
        self._numbers = count(1)
        self._tasks: dict[str, tuple[str, dict[str, Any]]] = {}

    @property
    def submitted(self) -> list[RecordedRequest]:
        """What was asked for."""
        return [call for call in self.requests if call.method == "POST"]

    def task_body(self, **changes: Any) -> dict[str, Any]:
        """Answer what was submitted, with a task that this fake does not know."""
        return {"id": "task-0", "polling_url": f"{self.base_url}/v1/get_result?id=task-0"} | changes

    def sample_url(self, name: str = "sample.png") -> str:
        """Tell where a picture lies."""
        return f"{self.base_url}/delivery/{name}?sig=abc"

    def draw_at(self, url: str) -> Answer:
        """Give the picture that lies at a URL of this fake, to be said in its turn."""
        return self._deliver(recorded("GET", url.removeprefix(self.base_url), [], b""))

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        if call.path.startswith("/delivery/"):
            return self._deliver(call)
        key = call.headers.get("x-key")
        if key is None:
            raise RefusalError(403, {"detail": "Not authenticated"})
        if key != KEY:
            raise RefusalError(403, {"detail": "Not authenticated - Invalid Authentication"})
        if call.path == "/v1/get_result":
            return self._result(call)
        model = call.path.removeprefix("/v1/")
        if model not in MODELS:
            raise RefusalError(404, {"detail": "Not Found"})
        if call.method != "POST":
            raise RefusalError(405, {"detail": "Method Not Allowed"})
        body = _read(call, model)
        if checks_only:
            return Answer()
        task_id = f"task-{next(self._numbers)}"
        self._tasks[task_id] = (model, body)
        # The package `blackforest` knows no other than these two.
        told = {"id": task_id, "polling_url": f"{self.base_url}/v1/get_result?id={task_id}"}
        return json_answer(200, told | {"cost": CREDITS, "input_mp": 0.0, "output_mp": 1.05})

    def _result(self, call: RecordedRequest) -> Answer:
        name, _, task_id = call.query.partition("=")
        if name != "id":
            raise RefusalError(422, {"detail": [{"loc": ["query", "id"], "msg": "Field required", "type": "missing"}]})
        if task_id not in self._tasks:
            return json_answer(200, {"id": task_id, "status": "Task not found", "result": None})
        model, body = self._tasks[task_id]
        kind = body.get("output_format") or ("png" if model.startswith(_PNG_BY_ITSELF) else "jpeg")
        width, height = body.get("width") or 16, body.get("height") or 16
        result: dict[str, Any] = {
            "sample": self.sample_url(f"{width}x{height}.{kind}"),
            "prompt": body.get("prompt", ""),
            "start_time": 1_790_000_000.25,
            "end_time": 1_790_000_002.5,
            "duration": 2.25,
        }
        if model != "flux-3-image":
            result["seed"] = SEED if body.get("seed") is None else body["seed"]
        told = {"id": task_id, "status": "Ready", "result": result}
        return json_answer(200, told | {"progress": None, "details": None, "preview": None})

    def _deliver(self, call: RecordedRequest) -> Answer:
        if "x-key" in call.headers:
            raise AssertionError("the key goes to the API alone")
        stem, _, kind = call.path.removeprefix("/delivery/").rpartition(".")
        width, _, height = stem.partition("x")
        size = (int(width), int(height)) if width.isdecimal() and height.isdecimal() else (16, 16)
        return Answer(200, {"content-type": f"image/{kind}"}, [picture(size, kind)])


def _read(call: RecordedRequest, model: str) -> dict[str, Any]:
    fields, needed = MODELS[model]
    if call.media_type != "application/json":
        raise _refused([{"loc": ["body"], "msg": "Input should be a valid dictionary", "type": "dict_type"}])
    body: dict[str, Any] = {
        name: value for name, value in call.json.items() if not (value is None and name in _NULLABLE_SEED)
    }
    wrong = [{"loc": ["body", name], "msg": "Field required", "type": "missing"} for name in needed if name not in body]
    for name, value in body.items():
        if name not in fields:
            wrong.append({"loc": ["body", name], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"})
        elif problem := fields[name](value):
            wrong.append({"loc": ["body", name], "msg": problem, "type": "value_error"})
    if wrong:
        raise _refused(wrong)
    if model.startswith("flux-2") and body.get("width", 0) * body.get("height", 0) > _MOST_PIXELS:
        raise RefusalError(400, {"detail": "The image is larger than 4 megapixels"})
    if "mask" in body and _size(body["mask"]) != _size(body["image"]):
        raise RefusalError(400, {"detail": "The mask has other dimensions than the image"})
    if model == "flux-pro-1.0-fill" and "mask" not in body and not _transparent(body["image"]):
        raise RefusalError(400, {"detail": "No mask"})
    if model == "flux-pro-1.0-expand" and not any(body.get(side) for side in ("top", "bottom", "left", "right")):
        raise RefusalError(400, {"detail": "At least one side must be expanded"})
    return body


def _refused(wrong: list[dict[str, Any]]) -> RefusalError:
    return RefusalError(422, {"detail": wrong})


def _size(encoded: str) -> tuple[int, int]:
    return opened(encoded).size


def _transparent(encoded: str) -> bool:
    return opened(encoded).has_transparency_data


@asynccontextmanager
async def fake_bfl() -> AsyncIterator[FakeBFL]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeBFL()) as fake:
        yield fake

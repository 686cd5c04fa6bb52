"""A fake of Stability AI's API (v2beta) on a loopback port: the services of Stable Image, and results.

As strict as the vendor's OpenAPI document, and stricter in one thing: a field that a service does not have is refused,
of which the document says nothing. Like the vendor it looks at the form before it looks at the key. There is no package
of the vendor's to hold against it: facts alone do, and a copy of the document (tests/providers/stability).
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from .openai_wire import picture
from .recording import Part, RecordedRequest
from .stability_fields import FORMS, Form, together
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

KEY = "sk-test-Stability0123456789"
SEED = 343_940_597
"""Of every picture for which no seed is given."""

_PREFIX = "/v2beta/stable-image/"
_RESULTS = "/v2beta/results/"
_MOST_BYTES = 10 * 1024 * 1024


class FakeStability(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say. What is asked after is ready."""

    def __init__(self) -> None:
        """Know one key."""
        super().__init__()
        self._numbers = count(1)
        self._generations: dict[str, tuple[str, int]] = {}

    @property
    def submitted(self) -> list[RecordedRequest]:
        """What was asked for."""
        return [call for call in self.requests if call.method == "POST"]

    def headers(self) -> dict[str, str]:
        """See FakeVendor."""
        return {"x-request-id": f"{next(self._numbers):032x}"}

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        if call.path.startswith(_RESULTS):
            _check_key(call)
            return self._result(call)
        form = FORMS.get(call.path.removeprefix(_PREFIX)) if call.path.startswith(_PREFIX) else None
        if form is None or call.method != "POST":
            raise refused(404, "not_found", "The requested resource was not found")
        parts = _read(call, form)
        _check_key(call)
        if checks_only:
            return Answer()
        kind = parts["output_format"].data.decode() if "output_format" in parts else "png"
        seed = int(parts["seed"].data) if "seed" in parts else 0
        drawn = (kind, seed or SEED)
        if not form.later:
            return drawn_answer(*drawn, accept=call.headers["accept"])
        generation = f"{len(self._generations) + 1:064x}"
        self._generations[generation] = drawn
        return json_answer(200, {"id": generation})

    def _result(self, call: RecordedRequest) -> Answer:
        generation = call.path.removeprefix(_RESULTS)
        if generation not in self._generations:
            message = "id: the generation either does not exist or has expired."
            raise refused(404, "generation_not_found", message)
        accept = call.headers.get("accept", "*/*")
        if accept not in {"*/*", "application/json"}:
            raise refused(400, "bad_request", "accept: Invalid enum value. Expected '*/*' | 'application/json'")
        return drawn_answer(*self._generations[generation], accept=accept)


def refused(status: int, name: str, *errors: str) -> RefusalError:
    """Refuse as the vendor does."""
    return RefusalError(status, {"errors": list(errors), "id": "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4", "name": name})


def drawn_answer(kind: str = "png", seed: int = SEED, *, accept: str = "image/*", finish: str = "SUCCESS") -> Answer:
    """Answer with a picture: its bytes with facts in headers, or JSON that holds both."""
    data = picture((16, 16), kind, seed % 256)
    if accept == "application/json":
        body: dict[str, Any] = {"image": base64.b64encode(data).decode(), "finish_reason": finish, "seed": seed}
        return json_answer(200, body, {"content-type": f"application/json; type=image/{kind}"})
    return Answer(200, {"content-type": f"image/{kind}", "finish-reason": finish, "seed": str(seed)}, [data])


def _check_key(call: RecordedRequest) -> None:
    if call.headers.get("authorization") != f"Bearer {KEY}":
        raise refused(401, "unauthorized", "authorization: invalid or missing header value")


def _read(call: RecordedRequest, form: Form) -> dict[str, Part]:
    """Check a form as the vendor does, all of its fields at a time."""
    if len(call.body) > _MOST_BYTES:
        raise refused(413, "payload_too_large", "body: payloads cannot be larger than 10MiB in size")
    if call.media_type != "multipart/form-data":
        raise refused(400, "bad_request", "content-type: must be multipart/form-data")
    if not form.later and call.headers.get("accept") not in {"image/*", "application/json"}:
        raise refused(400, "bad_request", "accept: Invalid enum value. Expected 'image/*' | 'application/json'")
    parts = {part.name: part for part in call.parts}
    wrong = ["body: a field stands twice"] if len(parts) < len(call.parts) else []
    wrong += [f"{name}: required" for name in form.wanted if name not in parts]
    wrong += [f"{name}: Unrecognized key" for name in parts if name not in form.fields]
    checked = {name: form.fields[name](part) for name, part in parts.items() if name in form.fields}
    wrong += [f"{name}: {problem}" for name, problem in checked.items() if problem]
    if not wrong and (problem := together(call.path.removeprefix(_PREFIX), parts)):
        wrong.append(problem)
    if wrong:
        raise refused(400, "bad_request", *wrong)
    return parts


@asynccontextmanager
async def fake_stability() -> AsyncIterator[FakeStability]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeStability()) as fake:
        yield fake

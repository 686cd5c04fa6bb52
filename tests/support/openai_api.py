"""A fake of the OpenAI Images API on a loopback port.

It is as strict as the published interface, so that what works here is not wrong in our favour; the official `openai`
package is held against it in tests/providers/openai.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from .openai_checks import MODELS, Order, read_edit, read_generation
from .openai_refusals import Refused, missing_key, wrong_key
from .openai_wire import events, images_body
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, event_answer, json_answer, running


class FakeOpenAI(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say."""

    def __init__(self, key: str) -> None:
        """Know one key and the models that are not retired."""
        super().__init__("/v1")
        self.key = key
        self.models = MODELS
        self._numbers = count(1)

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        order = self._order(call)
        if order.stream:
            return event_answer(*(() if checks_only else events(order)))
        return json_answer(200, {} if checks_only else images_body(order))

    def headers(self) -> dict[str, str]:
        """See FakeVendor."""
        number = next(self._numbers)
        return {"x-request-id": f"req_{number:032x}", "openai-version": "2020-10-01", "openai-processing-ms": "12"}

    def _order(self, call: RecordedRequest) -> Order:
        self._check_key(call.headers.get("authorization", ""))
        operation = {"/v1/images/generations": read_generation, "/v1/images/edits": read_edit}.get(call.path)
        if operation is None:
            raise Refused(f"Invalid URL ({call.method} {call.path})", code=None, status=404)
        if call.method != "POST":
            message = f"Not allowed to {call.method} on {call.path}."
            raise Refused(message, code="method_not_supported", status=405)
        return operation(call, self.models)

    def _check_key(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        if scheme != "Bearer" or not key:
            raise missing_key()
        if key != self.key:
            raise wrong_key(key)


@asynccontextmanager
async def fake_openai(key: str = "sk-test") -> AsyncIterator[FakeOpenAI]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeOpenAI(key)) as fake:
        yield fake

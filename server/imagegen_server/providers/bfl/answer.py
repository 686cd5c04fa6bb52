"""From the vendor's answers to events: AsyncResponse of what was submitted, ResultResponse of what has come of it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.events import Complete, Phase, Preview, Progress, ProviderEvent, Report
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Cost, Usage
from imagegen_server.domain.task import Task
from imagegen_server.http.client import HttpClient
from imagegen_server.http.encoded_image import EncodedImage
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.polling import Told

from .errors import credits_of, error_of_task, status_of

DOMAINS = ("bfl.ai",)
"""Whose hosts get the key. A task lives at one of the vendor's places, which only the answer names."""

_CREDITS_PER_DOLLAR = 100
"""Source: the pricing page of docs.bfl.ai: a credit is 0.01 USD, whatever was paid for it."""

_MOST_ODD = 3
"""So many answers in a row that tell nothing of the task are believed."""

_MEGAPIXELS = ("input_mp", "output_mp")
_TIMES = ("start_time", "end_time", "duration")
_PREVIEW_KEYS = ("sample", "url", "image", "data")


@dataclass(frozen=True, slots=True)
class Submitted:
    """A task that the vendor has taken on: its id, where to ask after it, and what was said of its price."""

    task_id: str
    polling_url: str
    payload: Mapping[str, object]

    def place(self, http: HttpClient) -> tuple[HttpClient, str]:
        """Tell where to ask.

        :raises ImageError: INVALID_RESPONSE: at an address that is not the vendor's
        """
        if not self.polling_url:
            return http, f"/v1/get_result?id={quote(self.task_id, safe='')}"
        return http.at(self.polling_url, DOMAINS)


def read_submitted(context: ErrorContext, body: bytes) -> Submitted:
    """Read the answer to what was submitted.

    :raises ImageError: INVALID_RESPONSE, or why the task has ended already
    """
    payload = read_object(body)
    if error := error_of_task(context, payload):
        raise error
    task_id, url = payload.get("id"), payload.get("polling_url")
    if not isinstance(task_id, str) or not task_id or not task_id.isascii() or not task_id.isprintable():
        raise context.invalid("no id of a task, so it is not known whether there is one")
    return Submitted(context.name(task_id), url if isinstance(url, str) else "", payload)


def report_of(submitted: Submitted, payload: Mapping[str, object], images: int = 0, *, failed: bool = False) -> Report:
    """Tell what a task costs: what the answer says, else what was said when it was submitted.

    If it has failed, the earlier price says nothing of what was charged.
    """
    told = credits_of(payload)
    if told is None and not failed:
        told = credits_of(submitted.payload)
    cost = None if told is None else Cost(round(told / _CREDITS_PER_DOLLAR, 10), "USD")
    metadata: dict[str, JsonValue] = _numbers({**submitted.payload, **payload}, _MEGAPIXELS)
    if told is not None:
        metadata["credits"] = told
    return Report(Usage(images_generated=images, cost=cost), metadata)


class ResultReader:
    """Reads the answers about one task. `done` once the picture is there."""

    def __init__(self, task: Task, submitted: Submitted, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """Begin with nothing known. `fetch` gets a picture from where it lies, without the key."""
        self.done = False
        self._task = task
        self._submitted = submitted
        self._fetch = fetch
        self._odd = 0
        self._last: Progress | None = None
        self._previews: list[str] = []

    async def events(self, told: Told) -> AsyncGenerator[ProviderEvent, None]:
        """Yield what one answer says. A status that is not known is one of a task under way.

        :raises ImageError: the picture will not come
        """
        payload, context = read_object(told.body), told.context
        status = status_of(payload)
        if status in ("", "task not found"):
            self._odd += 1
            if self._odd >= _MOST_ODD:
                raise self._lost(context, status)
            return
        self._odd = 0
        if error := error_of_task(context, payload):
            yield report_of(self._submitted, payload, failed=True)
            raise error
        if status == "ready":
            report = report_of(self._submitted, payload, 1)
            yield report
            yield await self._picture(context, payload, report)
            self.done = True
            return
        progress = _progress(context, status, payload)
        if progress != self._last:
            self._last = progress
            yield progress
        if preview := await self._preview(payload):
            yield preview

    def _lost(self, context: ErrorContext, status: str) -> ImageError:
        what = "that there is no such task" if status else "answers in which no status of the task can be read"
        return context.invalid(f"{what}, {_MOST_ODD} times; it may have been paid for")

    async def _picture(self, context: ErrorContext, payload: Mapping[str, object], report: Report) -> Complete:
        result = payload.get("result")
        facts = result if isinstance(result, Mapping) else {}
        sample, prompt, seed = facts.get("sample"), facts.get("prompt"), facts.get("seed")
        try:
            if not isinstance(sample, str) or not sample:
                raise context.invalid("a task that is ready, without a picture")
            data = await self._fetch(sample)
        except ImageError as error:
            cost = report.usage.cost if report.usage else None
            raise (error.with_billed(Billed.YES) if cost and cost.amount else error) from None
        return Complete(
            0,
            data,
            prompt if isinstance(prompt, str) and prompt not in ("", self._task.prompt) else None,
            seed if isinstance(seed, int) and not isinstance(seed, bool) and abs(seed) < 2**63 else None,
            _numbers(facts, _TIMES),
        )

    async def _preview(self, payload: Mapping[str, object]) -> Preview | None:
        """Take a preview, if one was wanted and there is one: what it looks like is documented nowhere."""
        shown = payload.get("preview")
        place = (
            next((shown.get(key) for key in _PREVIEW_KEYS if shown.get(key)), "") if isinstance(shown, dict) else shown
        )
        if not isinstance(place, str) or place in self._previews or len(self._previews) >= self._task.preview_count:
            return None
        try:
            web = place.startswith(("https://", "http://"))
            data = await self._fetch(place) if web else EncodedImage(memoryview(place.encode())).decode()
        except ImageError:
            return None  # the picture itself may still come
        self._previews.append(place)
        return Preview(0, data) if data else None


def _progress(context: ErrorContext, status: str, payload: Mapping[str, object]) -> Progress:
    told = payload.get("progress")
    plain = isinstance(told, int | float) and not isinstance(told, bool)
    fraction = float(told) if plain and isinstance(told, int | float) and 0 <= told <= 1 else None
    phase = Phase.QUEUED if status == "pending" and not fraction else Phase.GENERATING
    return Progress(phase, 0, fraction, message="" if status == "pending" else context.name(status))


def _numbers(facts: Mapping[str, object], names: tuple[str, ...]) -> dict[str, JsonValue]:
    """Keep those of these facts that are finite numbers."""
    return {
        name: value
        for name in names
        if isinstance(value := facts.get(name), int | float) and not isinstance(value, bool) and abs(value) < 2**53
    }

"""From what is said of a prediction to events: `{"status", "output", "error", "logs", "metrics"}`.

`output` is the URL of a picture, a list of such, or an object with some in it. A model that hands over its pictures one
by one makes the list longer while it works.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, Phase, Preview, Progress, ProviderEvent, Report
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Usage
from imagegen_server.domain.task import Task
from imagegen_server.http.encoded_image import EncodedImage
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.image_json import ImageJson
from imagegen_server.http.image_place import images_of
from imagegen_server.http.image_url import image_at
from imagegen_server.http.polling import Told

from .errors import error_of_end, error_of_failure, text_of
from .inputs import Inputs

_MOST_ODD = 3
"""So many answers in a row that tell nothing of the prediction are believed."""

_URL = re.compile(r"https?://|data:image/", re.IGNORECASE)
_USUAL_KEYS = ("images", "image", "output", "outputs", "url", "urls")
_MOST_DEPTH = 3
"""Of lists and objects in an output."""

_TAIL = 4000
"""Characters at the end of the logs that are read."""

_STEPS = re.compile(r"(?<![0-9])([0-9]{1,3})%\s*\|[^|\r\n]{0,200}\|\s*([0-9]{1,6})/([0-9]{1,6})")
_SEED = re.compile(r"\bseed(?: is)?[:=]? ?([0-9]{1,19})\b", re.IGNORECASE)
_FILTERED = re.compile(r"\bnsfw\b.{0,40}(?:detected|content)", re.IGNORECASE)
_SHORTEST_ECHO = 8
"""Characters of a prompt from which on its words in the logs are no chance."""

_MOST_METRICS = 20


def most_answer_bytes(count: int) -> int:
    """Tell how long an answer about so many pictures may be. It repeats what was sent, and may hold small pictures."""
    return 64 * 1024 * 1024 + count * 4 * 1024 * 1024


class PredictionReader:
    """Reads the answers about one prediction. `ended`: the vendor does no more. `done`: all pictures have been told."""

    def __init__(self, task: Task, inputs: Inputs, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """Begin with nothing known. `fetch` gets a picture from where it lies, without the key."""
        self.ended = False
        self.done = False
        self._task = task
        self._inputs = inputs
        self._fetch = fetch
        self._odd = 0
        self._last: Progress | None = None
        self._seen = 0
        self._shown: dict[int, int] = {}

    async def events(self, told: Told) -> AsyncGenerator[ProviderEvent, None]:
        """Yield what one answer says. A status that is not known is one of a prediction under way.

        :raises ImageError: no further picture will come
        """
        context, payload = told.context, read_object(told.body)
        status = text_of(payload.get("status")).lower()
        if not status:
            self._odd += 1
            if self._odd >= _MOST_ODD:
                what = "answers in which no status of the prediction can be read"
                raise context.invalid(f"{what}, {_MOST_ODD} times; it may have been paid for")
            return
        self._odd = 0
        self.ended = status in ("succeeded", "failed", "canceled", "aborted")
        if status == "succeeded":
            async with aclosing(self._pictures(context, payload)) as pictures:
                async for event in pictures:
                    yield event
            self.done = True
            return
        if self.ended:
            yield _report(payload, 0)
            if status == "failed":
                raise error_of_failure(context, payload, public=self._inputs.public)
            raise error_of_end(context, status)
        progress = _progress(context, status, self._logs(payload))
        if progress != self._last:
            self._last = progress
            yield progress
        if preview := await self._preview(payload):
            yield preview

    def _logs(self, payload: Mapping[str, object]) -> str:
        """Take the logs, without the caller's words, which tell nothing of the work."""
        logs, words = text_of(payload.get("logs")), self._task.prompt
        return logs.replace(words, "") if len(words) >= _SHORTEST_ECHO else logs

    async def _pictures(
        self, context: ErrorContext, payload: Mapping[str, object]
    ) -> AsyncGenerator[ProviderEvent, None]:
        count, urls, logs = self._task.count, list(urls_in(payload.get("output"))), self._logs(payload)
        yield _report(payload, len(urls))
        # What came one by one is a picture in the making, and the last of it is the picture.
        chosen = urls[-count:] if self._inputs.iterates or self._seen else urls[:count]
        seed = _seed(logs)
        places: dict[int, ImageJson] = {
            index: {"url": EncodedImage(memoryview(url.encode(errors="replace")))} for index, url in enumerate(chosen)
        }
        async with aclosing(images_of(places, context, self._fetch)) as images:
            async for index, image in images:
                if isinstance(image, ImageError):
                    yield Failed(index, image)
                else:
                    yield Complete(index, image, seed=seed)
        if len(chosen) == count:
            return
        if not _FILTERED.search(logs):
            raise context.invalid("fewer pictures than were asked for" if urls else "an output without a picture")
        message = "the safety checker of the model kept the picture back"
        filtered = context.told(Reason.CONTENT_FILTERED, message, billed=Billed.UNKNOWN, stage="output")
        if not chosen:
            raise filtered
        for index in range(len(chosen), count):
            yield Failed(index, filtered)

    async def _preview(self, payload: Mapping[str, object]) -> Preview | None:
        """Show what a list of pictures ends with, if it has become longer."""
        output = payload.get("output")
        urls = list(urls_in(output)) if isinstance(output, list) else []
        if len(urls) <= self._seen:
            return None
        self._seen = len(urls)
        index = min(self._seen, self._task.count) - 1
        if self._shown.get(index, 0) >= self._task.preview_count:
            return None
        self._shown[index] = self._shown.get(index, 0) + 1
        try:
            data = await image_at(EncodedImage(memoryview(urls[-1].encode(errors="replace"))), self._fetch)
        except ImageError:
            return None  # the picture itself may still come
        return Preview(index, data) if data else None


def urls_in(output: object, depth: int = _MOST_DEPTH) -> Iterator[str]:
    """Find the pictures of an output: in an object, under the usual names if there are any there."""
    if isinstance(output, str):
        if _URL.match(output):
            yield output
    elif depth and isinstance(output, list):
        for item in output:
            yield from urls_in(item, depth - 1)
    elif depth and isinstance(output, Mapping):
        usual = [url for name in _USUAL_KEYS for url in urls_in(output.get(name), depth - 1)]
        yield from usual or [url for item in output.values() for url in urls_in(item, depth - 1)]


def _progress(context: ErrorContext, status: str, logs: str) -> Progress:
    """Tell how far it is: a line of the logs as tqdm writes it says so, if anything does."""
    if status == "starting":
        return Progress(Phase.QUEUED)
    message = "" if status == "processing" else context.name(status)
    told = [match for match in _STEPS.finditer(logs[-_TAIL:]) if int(match[2]) <= int(match[3])]
    if not told:
        return Progress(Phase.GENERATING, message=message)
    percent, step, steps = map(int, told[-1].groups())
    return Progress(Phase.GENERATING, None, min(percent, 100) / 100, step, steps, message=message)


def _seed(logs: str) -> int | None:
    """Read the seed, which only the logs of some models tell: the first that is named."""
    found = _SEED.search(logs[:_TAIL])
    return int(found[1]) if found and int(found[1]) < 2**63 else None


def _report(payload: Mapping[str, object], images: int) -> Report:
    """Tell the metrics: seconds, and what official models count. There is no price in an answer."""
    metrics, told = payload.get("metrics"), dict[str, JsonValue]()
    for name, value in list(metrics.items())[:_MOST_METRICS] if isinstance(metrics, Mapping) else ():
        plain = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53
        if plain and re.fullmatch(r"\w{1,50}", str(name), re.ASCII):
            told[str(name)] = value
    version = text_of(payload.get("version"))
    if re.fullmatch(r"\w{6,64}", version, re.ASCII):
        told["version"] = version
    return Report(Usage(images_generated=images), told)

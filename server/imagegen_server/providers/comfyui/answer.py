"""What a prompt came to, from the server's history: `{"outputs": {node: {"images": [...]}}, "status": {...}}`.

A picture is a file in a folder of the server, `output`, or `temp` if it was only to be looked at.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, ProviderEvent, Report
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Usage, Warning, WarningReason
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.http.raw_image import picture_in

from .errors import error_of_answer, error_of_execution, interrupted
from .exchange import Exchange, passes
from .frames import text

_FOLDERS = ("output", "temp")
_LONGEST_NAME = 1024
_MOST_FILES = 1000
_SLOWER = 2.0
_PICTURE_SECONDS = 120.0

_AnswerT = TypeVar("_AnswerT")


@dataclass(frozen=True, slots=True)
class File:
    """A picture of a node, where the server has it."""

    node: str
    filename: str
    subfolder: str
    folder: str

    @property
    def path(self) -> str:
        """Where it is got."""
        query = {"filename": self.filename, "subfolder": self.subfolder, "type": self.folder}
        return f"/view?{urlencode(query, errors='replace')}"

    def told(self) -> dict[str, JsonValue]:
        """Say where it is."""
        return {"node": self.node, "filename": self.filename, "subfolder": self.subfolder, "type": self.folder}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a prompt was, for those who read what it came to.

    `history` is empty if it is still to be asked for. `pushed` are pictures that came by the websocket, besides
    `pushed_more`; `left_out` says what of the graph was not run.
    """

    prompt_id: str
    context: ErrorContext
    seed: int | None
    history: Mapping[str, object]
    pushed: list[bytes]
    pushed_more: int
    left_out: list[str]


async def events_of(exchange: Exchange, ended: Ended) -> AsyncGenerator[ProviderEvent, None]:
    """Yield the pictures of a prompt that has ended.

    :raises ImageError: it has failed, or pictures are missing
    """
    context, count = ended.context, exchange.task.count
    history = ended.history or await _again(exchange, lambda: exchange.history(ended.prompt_id))
    if history:
        _raise_failure(context, history)
    elif len(ended.pushed) < count:
        raise context.invalid("no history of a prompt that has ended, so its pictures cannot be found")
    files = _files(exchange, history)
    found = len(ended.pushed) + ended.pushed_more or len(files)
    yield _report(exchange, ended, history, found)
    batch = {"batch_size": count} if count > 1 else {}
    if ended.pushed:
        for index, data in enumerate(ended.pushed):
            yield Complete(index, data, seed=ended.seed, metadata=batch and {**batch, "batch_index": index})
    for index, file in enumerate(files[:count] if not ended.pushed else []):
        data = await _again(exchange, lambda file=file: _picture(exchange, file))  # type: ignore[misc]
        place: dict[str, JsonValue] = {**batch, "batch_index": index} if batch else {}
        yield Complete(index, data or b"", seed=ended.seed, metadata=file.told() | place)
    if found < count:
        what = "fewer pictures than were asked for" if found else "no picture: does the workflow save one?"
        raise context.invalid(what)


def _raise_failure(context: ErrorContext, history: Mapping[str, object]) -> None:
    """See that a prompt has not failed.

    :raises ImageError: it has
    """
    status = history.get("status")
    if not isinstance(status, Mapping) or status.get("status_str") != "error":
        return
    messages = status.get("messages")
    for message in messages if isinstance(messages, list) else []:
        match message:
            case ["execution_error", dict() as data]:
                raise error_of_execution(context, data)
            case ["execution_interrupted", _]:
                raise interrupted(context)
    raise error_of_execution(context, {})


def _files(exchange: Exchange, history: Mapping[str, object]) -> list[File]:
    """List pictures in the order of the nodes: those to keep; if there are none, those to look at."""
    outputs, wanted = history.get("outputs"), exchange.workflow.output
    told = dict(outputs) if isinstance(outputs, Mapping) else {}
    order = [*(node for node in exchange.workflow.graph if node in told), *told]
    nodes = [node for node in dict.fromkeys(order) if not wanted or node == wanted]
    found = [file for node in nodes for file in _of_node(str(node), told[node])]
    return next((kept for folder in _FOLDERS if (kept := [file for file in found if file.folder == folder])), [])


def _of_node(node: str, output: object) -> list[File]:
    images = output.get("images") if isinstance(output, Mapping) else None
    files = []
    for image in images[:_MOST_FILES] if isinstance(images, list) else []:
        if isinstance(image, Mapping) and 0 < len(filename := text(image.get("filename"))) <= _LONGEST_NAME:
            subfolder, folder = text(image.get("subfolder"))[:_LONGEST_NAME], text(image.get("type")) or "output"
            files.append(File(node, filename, subfolder, folder))
    return files


def _report(exchange: Exchange, ended: Ended, history: Mapping[str, object], found: int) -> Report:
    metadata: dict[str, JsonValue] = {"prompt_id": ended.prompt_id}
    if (seconds := _seconds(history)) is not None:
        metadata["execution_seconds"] = seconds
    if found > exchange.task.count:
        metadata["pictures_left"] = found - exchange.task.count
    warnings = tuple(Warning("model", WarningReason.IGNORED, f"not run: {what}") for what in ended.left_out)
    return Report(Usage(images_generated=found), metadata, warnings)


def _seconds(history: Mapping[str, object]) -> float | None:
    """Tell how long the prompt ran, by the clock of the server."""
    status = history.get("status")
    messages = status.get("messages") if isinstance(status, Mapping) else None
    times = []
    for message in messages if isinstance(messages, list) else []:
        match message:
            case [str(), {"timestamp": int(time)}] if not isinstance(time, bool) and 0 <= time < 2**53:
                times.append(time)
    return round((max(times) - min(times)) / 1000, 3) if len(times) > 1 else None


async def _picture(exchange: Exchange, file: File) -> bytes:
    try:
        async with asyncio.timeout(_PICTURE_SECONDS), exchange.http.get(file.path, exchange.headers) as answer:
            context = exchange.context_of(answer)
            if not answer.ok:
                body = await read_failure(answer)
                if answer.status >= 500:  # noqa: PLR2004 - classes of RFC 9110
                    raise error_of_answer(context, body)
                raise context.invalid(f"{answer.status} for the picture that it has made: is it gone?")
            body, fault = await answer.read_on(MAX_IMAGE_BYTES)
            picture = picture_in(body, answer.media_type, context, fault)
            if picture is None:
                raise context.invalid("something else for a picture")
            return picture
    except TimeoutError:
        raise ImageError(Reason.TIMEOUT, f"{exchange.http.host} did not give the picture") from None


async def _again(exchange: Exchange, ask: Callable[[], Awaitable[_AnswerT]]) -> _AnswerT:
    """Ask until there is an answer that says something, some times.

    :raises ImageError: the trouble that did not pass; the work may have been done
    """
    pace = exchange.pace
    delay = pace.again
    for left in reversed(range(pace.tries)):
        try:
            if (told := await ask()) or not left:
                return told
        except TimeoutError:
            if not left:
                raise ImageError(Reason.TIMEOUT, f"{exchange.http.host} took too long") from None
        except ImageError as error:
            if not left or not passes(error) or error.reason is Reason.INVALID_RESPONSE:
                raise error.with_billed(Billed.UNKNOWN) from None
        await asyncio.sleep(delay)
        delay *= _SLOWER
    raise AssertionError("the last try ends it")

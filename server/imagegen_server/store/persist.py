"""The middleware that writes results to a directory: DATE/GENERATION/INDEX.png, and result.json beside the images."""

import asyncio
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from imagegen_server.domain.events import Complete
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import GeneratedImage, ImageResult
from imagegen_server.generation.account import attempts_account, cost_account, failures_account
from imagegen_server.generation.faults import describe_fault
from imagegen_server.generation.middleware import Context, Middleware, StreamEvent
from imagegen_server.generation.middleware_types import MiddlewareType
from imagegen_server.images.facts import is_truncated, read_facts

MAX_WAITING_BYTES = 256 * 1024 * 1024
"""Images that wait for the disk; what comes beyond is not written."""

T = TypeVar("T")

_THREADS = 2
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ENDINGS = {"image/jpeg": "jpg", "image/svg+xml": "svg"}

_logger = structlog.get_logger("imagegen.middleware")


@dataclass(frozen=True, slots=True)
class PersistSettings:
    """`directory`: where to write; made when needed. `prompts`: write prompts and revised prompts as well."""

    directory: str
    prompts: bool = False


@dataclass(frozen=True, slots=True)
class _Written:
    file: str
    facts: ImageFacts
    size_bytes: int
    sha256: str


class Persist(Middleware):
    """Writes beside the calls: nobody waits for the disk, and what it refuses is a line in the log, no lost image."""

    def __init__(self, name: str, settings: PersistSettings) -> None:
        """Look at the directory.

        :raises ValueError: it is none, cannot be made, or cannot be written to
        """
        super().__init__(name)
        self._root = Path(settings.directory).absolute()
        self._prompts = settings.prompts
        _require_writable(self._root, settings.directory)
        # Threads of its own: a disk that hangs must not take those of the server.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="persist")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting_bytes = 0

    async def on_stream_event(self, context: Context, event: StreamEvent) -> StreamEvent:
        """Begin to write each finished image."""
        if isinstance(event, Complete):
            saves = context.state.setdefault(self._state_key, {})
            saves[event.index] = self._begin(self._save(context, event.index, event.data))
        return event

    async def on_end(self, context: Context) -> None:
        """Write down what came of it, once the images are written."""
        if context.response is not None:
            saves = context.state.get(self._state_key, {})
            self._begin(self._record(context, context.response, saves))

    async def close(self) -> None:
        """Wait for what is being written."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def _state_key(self) -> str:
        return f"persist.{self.name}"

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _save(self, context: Context, index: int, data: bytes) -> _Written | None:
        if self._waiting_bytes and self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
            self._complain(context, index=index, problem="too many images wait for the disk")
            return None
        self._waiting_bytes += len(data)
        try:
            return await self._off_loop(_write_image, self._folder(context), index, data)
        except Exception as fault:  # noqa: BLE001 - the caller has the image; the operator hears of it
            self._complain(context, index=index, **_describe(fault))
            return None
        finally:
            self._waiting_bytes -= len(data)

    async def _record(
        self, context: Context, result: ImageResult, saves: Mapping[int, "asyncio.Task[_Written | None]"]
    ) -> None:
        written = {index: await save for index, save in saves.items()}
        try:
            text = json.dumps(self._account(context, result, written), ensure_ascii=False, indent=2) + "\n"
            await self._off_loop(_write, self._folder(context) / "result.json", text.encode("utf-8", "replace"))
        except Exception as fault:  # noqa: BLE001 - as above
            self._complain(context, **_describe(fault))

    async def _off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _folder(self, context: Context) -> Path:
        if not _SAFE_NAME.fullmatch(context.generation_id):
            raise ValueError("the id of the generation is no name for a directory")
        return self._root / context.start_time.strftime("%Y-%m-%d") / context.generation_id

    def _account(
        self, context: Context, result: ImageResult, written: Mapping[int, _Written | None]
    ) -> dict[str, JsonValue]:
        told: dict[str, JsonValue] = {
            "generation_id": result.generation_id,
            "request_id": result.request_id,
            "caller": context.caller,
            "model": result.model,
            "operation": context.operation.value,
            "start_time": context.start_time.isoformat(),
            "end_time": context.end_time.isoformat() if context.end_time else None,
            "images": [self._image(image, written.get(image.index)) for image in result.images],
            "failures": failures_account(result.failures),
            "usage": _usage(result),
            "attempts": attempts_account(result.attempts),
        }
        if self._prompts:
            told["prompt"] = context.request.prompt
            told["negative_prompt"] = context.request.options.negative_prompt
        return told

    def _image(self, image: GeneratedImage, written: _Written | None) -> dict[str, JsonValue]:
        stored = image.image
        facts = written.facts if written else stored.facts
        told: dict[str, JsonValue] = {
            "index": image.index,
            "image_id": stored.image_id,
            "file": written.file if written else None,
            "media_type": facts.media_type,
            "width": facts.width,
            "height": facts.height,
            "alpha": facts.alpha,
            "size_bytes": written.size_bytes if written else stored.size_bytes,
            "sha256": written.sha256 if written else stored.sha256,
            "seed": image.seed,
        }
        if self._prompts:
            told["revised_prompt"] = image.revised_prompt
        return told

    def _complain(self, context: Context, **facts: object) -> None:
        _logger.error("not persisted", middleware=self.name, generation_id=context.generation_id, **facts)


def _usage(result: ImageResult) -> JsonValue:
    if result.usage is None:
        return None
    return {
        "images_generated": result.usage.images_generated,
        "input_tokens": result.usage.input_tokens,
        "output_tokens": result.usage.output_tokens,
        "cost": cost_account(result.usage),
    }


def _require_writable(directory: Path, written: str) -> None:
    if not written.strip():
        raise ValueError("directory: is empty; say where to write")
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    if not nearest.is_dir():
        raise ValueError(f"directory: {nearest} is no directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"directory: {nearest} cannot be written to by this user")


def _write_image(folder: Path, index: int, data: bytes) -> _Written | None:
    """Write an image under its type as its bytes tell it; what is no whole image will not be in the result either."""
    facts = read_facts(data)
    if facts is None or is_truncated(data, facts.media_type):
        return None
    ending = _ENDINGS.get(facts.media_type) or facts.media_type.rpartition("/")[2]
    path = folder / f"{index}.{ending}"
    _write(path, data)
    return _Written(path.name, facts, len(data), hashlib.sha256(data).hexdigest())


def _write(path: Path, data: bytes) -> None:
    """Write a file so that whoever looks finds all of it or nothing.

    :raises OSError: it cannot be written
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _describe(fault: Exception) -> dict[str, object]:
    if isinstance(fault, OSError):
        return {"problem": fault.strerror or type(fault).__name__}
    return describe_fault(fault)


MIDDLEWARE = MiddlewareType(name="persist", settings=PersistSettings, build=Persist)

"""What hooks make of previews, images and results, and what they cannot undo."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.events import Complete, Preview
from imagegen_server.domain.result import GeneratedImage, Warning, WarningReason
from imagegen_server.generation.middleware import Context, EventAnswer, Middleware, StreamEvent
from structlog.testing import capture_logs

from tests.parity.configured import configured_service
from tests.parity.forms import FORMS, begin, call, refused
from tests.parity.service import in_mid_stream, recorded
from tests.support.calls import watch
from tests.support.pictures import png
from tests.support.server import nothing_left

OURS = png(8, 8, shade=7)


class Previewing(Middleware):
    """Answers each preview as the test says."""

    def __init__(self, answer: Callable[[Preview], EventAnswer]) -> None:
        """Be one of a test."""
        super().__init__("previews")
        self._answer = answer

    async def on_stream_event(self, context: Context, event: StreamEvent) -> EventAnswer:  # noqa: ARG002 - the signature of a hook
        """Let everything pass that is no preview."""
        return self._answer(event) if isinstance(event, Preview) else event


def drop(_preview: Preview) -> None:
    """Keep it back."""


def exchange(preview: Preview) -> Preview:
    """Put another picture in its place."""
    return replace(preview, data=OURS)


def double(preview: Preview) -> Sequence[Preview]:
    """Let another picture follow."""
    return [preview, replace(preview, data=OURS)]


@pytest.mark.parametrize("form", ["StreamGenerate", "StreamEdit"])
@pytest.mark.parametrize(
    ("answer", "ours"), [(drop, []), (exchange, [True]), (double, [False, True])], ids=["drop", "exchange", "add"]
)
async def test_on_stream_event_filters_replaces_and_adds_previews(
    form: str, answer: Callable[[Preview], EventAnswer], ours: Sequence[bool], tmp_path: Path
) -> None:
    """What the hook returns for a preview is what the reader sees, and what a second reader sees beside it."""
    async with configured_service(tmp_path, middleware=[Previewing(answer)]) as service:
        said = _one_preview_of_two()
        said.before = asyncio.Event()
        service.fake.answer_next(said)
        first = begin(service, form, requestId="mine", options={"previewCount": 2})
        await first.initial_metadata()
        second = service.server.images.Resume(image_service_pb2.ResumeRequest(request_id="mine"))
        await second.initial_metadata()
        said.before.set()
        readers = await asyncio.gather(watch(first), watch(second))

    for seen in readers:
        assert [data == OURS for _, _, data in seen.previews] == ours
        assert [number for _, number, _ in seen.previews] == list(range(1, len(ours) + 1))
        assert list(seen.images) == [0]


class Greedy(Middleware):
    """Tries to keep the finished picture back."""

    def __init__(self, answer: EventAnswer | Callable[[Complete], EventAnswer]) -> None:
        """Be one of a test."""
        super().__init__("greedy")
        self._answer = answer

    async def on_stream_event(self, context: Context, event: StreamEvent) -> EventAnswer:  # noqa: ARG002 - the signature of a hook
        """Answer a finished picture as the test says."""
        if not isinstance(event, Complete):
            return event
        return self._answer(event) if callable(self._answer) else self._answer


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "answer", [None, [], lambda complete: replace(complete, data=b"")], ids=["drop", "none", "spoil"]
)
async def test_a_finished_image_cannot_be_dropped(form: str, answer: Any, tmp_path: Path) -> None:
    """Whatever a hook returns for the finished picture, the picture comes as the vendor made it."""
    async with configured_service(tmp_path) as plain:
        expected = _sha256(await call(plain, form))
    async with configured_service(tmp_path, middleware=[Greedy(answer)]) as service:
        result = await call(service, form)

    assert _sha256(result) == expected


class Counting(Middleware):
    """Counts how often no event follows."""

    def __init__(self) -> None:
        """Begin at 0."""
        super().__init__("counting")
        self.ends = 0

    async def on_stream_end(self, context: Context) -> None:  # noqa: ARG002 - the signature of a hook
        """Count."""
        self.ends += 1


@pytest.mark.parametrize("form", FORMS)
async def test_on_stream_end_runs_once_whatever_the_outcome(form: str, tmp_path: Path) -> None:
    """After a result, after an error and after a cancel alike."""
    counting = Counting()
    async with configured_service(tmp_path, middleware=[counting]) as service:
        await call(service, form)
        assert counting.ends == 1
        service.fake.answer_next(recorded("moderation_blocked"))
        await refused(begin(service, form))
        assert counting.ends == 2
        held = in_mid_stream(asyncio.Event())
        service.fake.answer_next(held)
        made = begin(service, form)
        await made.initial_metadata()
        made.cancel()
        await nothing_left(service.server)
        assert counting.ends == 3


class Signing(Middleware):
    """Leaves its mark everywhere that a result has room for it."""

    async def on_response(self, context: Context) -> None:
        """Put another result in the place of the provider's."""
        assert context.response is not None
        context.response = replace(
            context.response,
            images=tuple(_signed(image) for image in context.response.images),
            warnings=(*context.response.warnings, Warning("input.prompt", WarningReason.ADJUSTED, "signed")),
            metadata={**context.response.metadata, self.name: {"by": "us"}},
        )


def _signed(image: GeneratedImage) -> GeneratedImage:
    return replace(image, revised_prompt="a signed boat", metadata={**image.metadata, "signing": {"mark": image.index}})


@pytest.mark.parametrize("form", FORMS)
async def test_what_on_response_leaves_is_what_every_reader_gets(form: str, tmp_path: Path) -> None:
    """The caller, one who joined by its request_id, one who comes later and one who resumes read the same result."""
    answer = recorded("json_png" if not form.startswith("Stream") else "stream_two_partials")
    answer.before = asyncio.Event()
    async with configured_service(tmp_path, middleware=[Signing("signing")]) as service:
        service.fake.answer_next(answer)
        first, joined = begin(service, form, requestId="mine"), begin(service, form, requestId="mine")
        for made in (first, joined):
            await made.initial_metadata()
        answer.before.set()
        results = [await _result(made) for made in (first, joined)]
        results.append(await call(service, form, requestId="mine"))
        resumed = await watch(service.server.images.Resume(image_service_pb2.ResumeRequest(request_id="mine")))
        results.append(resumed.result)

        assert len(service.fake.requests) == 1
    for result in results:
        assert result.metadata["signing"]["by"] == "us"
        assert [warning.message for warning in result.warnings] == ["signed"]
        (image,) = result.images
        assert image.revised_prompt == "a signed boat"
        assert image.metadata["signing"]["mark"] == 0
        assert "openai" in image.metadata


class Faulty(Middleware):
    """Fails in one hook."""

    def __init__(self, hook: str) -> None:
        """Fail in `hook`."""
        super().__init__("faulty")
        self._hook = hook

    async def _maybe(self, hook: str) -> None:
        if hook == self._hook:
            raise RuntimeError("of a boat")

    async def on_stream_event(self, context: Context, event: StreamEvent) -> EventAnswer:  # noqa: ARG002 - the signature of a hook
        """Fail here."""
        await self._maybe("on_stream_event")
        return event

    async def on_stream_end(self, context: Context) -> None:  # noqa: ARG002 - the signature of a hook
        """Fail here."""
        await self._maybe("on_stream_end")

    async def on_response(self, context: Context) -> None:  # noqa: ARG002 - the signature of a hook
        """Fail here."""
        await self._maybe("on_response")

    async def on_end(self, context: Context) -> None:  # noqa: ARG002 - the signature of a hook
        """Fail here."""
        await self._maybe("on_end")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("hook", ["on_stream_event", "on_stream_end", "on_response", "on_end"])
async def test_a_finished_image_is_not_lost_to_a_hook(form: str, hook: str, tmp_path: Path) -> None:
    """A hook that raises costs the caller nothing; the log names it, without the words of the exception."""
    with capture_logs() as lines:
        async with configured_service(tmp_path, middleware=[Faulty(hook), Signing("signing")]) as service:
            result = await call(service, form)

    assert len(result.images) == 1
    assert result.metadata["signing"]["by"] == "us"
    faults = [line for line in lines if line["event"] == "middleware fault"]
    assert {(line["middleware"], line["hook"]) for line in faults} == {("faulty", hook)}
    assert "of a boat" not in str(lines)


def _one_preview_of_two() -> Any:
    """Show one of the two previews that were asked for, and the picture."""
    answer = recorded("stream_two_partials")
    empty, first, _, last = answer.pieces
    answer.pieces = [empty, first, last]
    return answer


async def _result(made: Any) -> image_pb2.ImageResult:
    last = [message async for message in made][-1]
    return last if isinstance(last, image_pb2.ImageResult) else last.result


def _sha256(result: image_pb2.ImageResult) -> list[str]:
    return [image.image.sha256 for image in result.images]

"""Which hooks run, for which call, how often; and what they can change."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from imagegen import AsyncClient, ImageGenError, Reason
from imagegen.v1 import image_service_pb2
from imagegen_server.domain.task import Wish
from imagegen_server.generation.middleware import Context, Middleware

from tests.parity.configured import configured_service
from tests.parity.forms import FORMS, begin, call, refused
from tests.parity.service import MODEL, PATIENCE, Service, in_mid_stream, recorded
from tests.support.middleware import Notes, Noting
from tests.support.server import nothing_left

Leave = Callable[[Service, Any], Awaitable[None]]


def hooks(notes: Notes, name: str) -> list[str]:
    """List the hooks of one middleware, without those for events."""
    told = [line.removeprefix(f"{name} ") for line in notes.lines if line.startswith(f"{name} ")]
    return [hook for hook in told if not hook.startswith("on_stream_event")]


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_runs_the_same_hooks_once(form: str, tmp_path: Path) -> None:
    """Drawing and editing, streamed or not: in list order on the way in, in reverse on the way out, each once."""
    notes = Notes()
    async with configured_service(tmp_path, middleware=[Noting("a", notes), Noting("b", notes)]) as service:
        await call(service, form)
        lines = [line for line in notes.lines if "on_stream_event" not in line]

    assert lines == [
        *("a on_start", "b on_start", "a on_request", "b on_request", "a on_stream_end", "b on_stream_end"),
        *("b on_response", "a on_response", "b on_end", "a on_end"),
    ]
    assert "a on_stream_event Complete" in notes.lines


async def leave(_service: Service, stream: Any) -> None:
    """Hang up."""
    stream.cancel()


async def cancel(service: Service, stream: Any) -> None:
    """Have the generation stopped by its id, and read to the end."""
    ids = dict(await stream.initial_metadata())
    request = image_service_pb2.CancelRequest(generation_id=ids["imagegen-generation-id"])
    assert (await service.server.images.Cancel(request)).stopped
    assert await refused(stream) == "CANCELLED"


@pytest.mark.parametrize("form", ["StreamGenerate", "StreamEdit"])
@pytest.mark.parametrize("stop", [leave, cancel])
async def test_a_cancel_is_told_by_on_abort_and_not_as_an_error(form: str, stop: Leave, tmp_path: Path) -> None:
    """Whether the reader hangs up or Cancel is called, on_abort runs once and neither on_error nor on_end does."""
    notes, answer = Notes(), in_mid_stream(asyncio.Event())
    async with configured_service(tmp_path, middleware=[Noting("a", notes), Noting("b", notes)]) as service:
        service.fake.answer_next(answer)
        stream = begin(service, form)
        async for event in stream:
            if event.HasField("preview"):
                break
        await stop(service, stream)
        await asyncio.wait_for(answer.client_gone.wait(), PATIENCE)
        await nothing_left(service.server)

        for name in ("a", "b"):
            assert hooks(notes, name) == ["on_start", "on_request", "on_stream_end", "on_abort"]


async def test_abort_is_told_by_on_abort(tmp_path: Path) -> None:
    """abort() of the client does the same, also for a generation that would have gone on without its reader."""
    notes, answer = Notes(), in_mid_stream(asyncio.Event())
    async with (
        configured_service(tmp_path, middleware=[Noting("a", notes)]) as service,
        AsyncClient(service.server.address) as client,
    ):
        service.fake.answer_next(answer)
        stream = client.stream(MODEL, "a boat", request_id="mine")
        await anext(stream)
        await stream.abort()
        await nothing_left(service.server)
        with pytest.raises(ImageGenError) as caught:
            await stream.result()

        assert caught.value.reason == Reason.CANCELLED
        assert hooks(notes, "a") == ["on_start", "on_request", "on_stream_end", "on_abort"]


@pytest.mark.parametrize("form", FORMS)
async def test_one_failure_is_told_once_to_each_middleware(form: str, tmp_path: Path) -> None:
    """A generation that fails while two read it runs on_error once in each, with its reason, and on_end in none."""
    notes, answer = Notes(), recorded("moderation_blocked")
    answer.before = asyncio.Event()
    async with configured_service(tmp_path, middleware=[Noting("a", notes), Noting("b", notes)]) as service:
        service.fake.answer_next(answer)
        readers = [begin(service, form, requestId="mine") for _ in range(2)]
        for reader in readers:
            await reader.initial_metadata()
        answer.before.set()
        reasons = [await refused(reader) for reader in readers]
        await nothing_left(service.server)

        assert reasons == ["CONTENT_FILTERED"] * 2
        assert len(service.fake.requests) == 1
        for name in ("a", "b"):
            assert hooks(notes, name) == ["on_start", "on_request", "on_stream_end", "on_error CONTENT_FILTERED"]


class Rewriting(Middleware):
    """Asks for something else than the caller."""

    async def on_request(self, context: Context) -> None:
        """Put another request in the place of the caller's."""
        wish: Wish = context.request
        options = replace(wish.options, quality="high")
        context.request = replace(wish, prompt=f"{wish.prompt} at night", options=options)


@pytest.mark.parametrize("form", FORMS)
async def test_on_request_sees_and_changes_what_is_sent(form: str, tmp_path: Path) -> None:
    """What the hook puts in place of the request is what the vendor is asked, in every form."""
    async with configured_service(tmp_path, middleware=[Rewriting("night")]) as service:
        await call(service, form, options={"quality": "low"})
        (sent,) = service.fake.requests

    said = sent.fields if "Edit" in form else sent.json
    assert (said["prompt"], said["quality"]) == ("a boat at night", "high")

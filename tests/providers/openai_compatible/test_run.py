"""What every server has in common, on one of them: Explain, leaving, broken answers, and what is repeated nowhere."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, Failed, Preview, Report
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call
from imagegen_server.providers.openai_compatible import PROVIDER, CompatibleSettings
from imagegen_server.providers.openai_compatible.dialect import error_in
from imagegen_server.providers.openai_compatible.models import listed_ids
from imagegen_server.providers.openai_compatible.settings import PRESETS, Dialect

from tests.support.generation import drawing, editing, events_of
from tests.support.http_server import PATIENCE
from tests.support.openai_compatible_api import KEY
from tests.support.openai_compatible_provider import compatible_workshop
from tests.support.openai_wire import picture
from tests.support.pictures import png
from tests.support.vendor import Answer, hanging_answer, json_answer

_KEYS = st.sampled_from(
    "data error detail message code type param loc msg b64_json url credits usage seed id model revised_prompt".split()  # noqa: SIM905 - to be read
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("data:,x")
_JSON = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))
_DIALECTS = st.sampled_from(["together", "recraft", "vllm-omni"])


async def test_what_is_explained_is_what_is_sent() -> None:
    """For each preset: the address and the body, no key; nothing is sent."""
    for dialect in PRESETS.keys() - {"openai"}:
        async with compatible_workshop(dialect) as made:  # type: ignore[arg-type]
            wish = editing(png(16, 16), model=made.model)
            (planned,) = await made.workshop.explained(wish)
            assert made.fake.requests == []
            await made.workshop.result(wish)
        assert made.fake.requests[0].path.removeprefix(made.fake.prefix) in repr(planned)
        assert KEY not in repr(planned)


@pytest.mark.parametrize("place", ["headers", "body"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """The server sees its socket closed, the generation is CANCELLED, and the next call works."""
    answer = Answer(before=asyncio.Event()) if place == "headers" else hanging_answer(asyncio.Event())
    async with compatible_workshop("sd-server") as made:
        made.fake.answer_next(answer)
        async with made.workshop.opened(drawing(made.model)) as generation:
            made.workshop.engine.launch(generation)
            await (answer.asked if place == "headers" else answer.begun).wait()
        async with asyncio.timeout(PATIENCE):
            await answer.client_gone.wait()
        last = (await events_of(generation))[-1]
        assert len((await made.workshop.result(drawing(made.model))).images) == 1

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)


async def test_a_picture_itself_is_one() -> None:
    """Where a server answers the file instead of JSON; one that is called so and is none is an invalid response."""
    webp = picture((16, 16), "webp")
    async with compatible_workshop("vllm-omni") as made:
        made.fake.answer_next(Answer(200, {"content-type": "image/png"}, [webp]))
        result = await made.workshop.result(drawing(made.model))
        made.fake.answer_next(Answer(200, {"content-type": "image/png"}, [b"no picture"]))
        broken = await made.workshop.broken(drawing(made.model))

    assert result.images[0].image.facts.media_type == "image/webp"
    assert broken.error.reason is Reason.INVALID_RESPONSE


SECRET = "key-Zx81Kq77abcdefghijklmnopqrstuvwxyz"
PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"


@pytest.mark.parametrize(
    "body",
    [
        {"error": f"{PROMPT} {SECRET}", "message": f"{SECRET}: {PROMPT}"},
        {"code": f"c {SECRET}", "message": f"{PROMPT} {SECRET}"},
        {"detail": f"{PROMPT} {SECRET}"},
        {"detail": [{"loc": ["body", f"{SECRET}"], "msg": f"{PROMPT} is wrong", "input": {"prompt": PROMPT}}]},
        {"detail": {"error": {"message": PROMPT, "code": SECRET}}},
        {"error": {"message": f"{PROMPT}<sd_cpp_extra_args>{SECRET}", "param": SECRET}},
    ],
)
async def test_what_a_server_repeats_goes_no_further(body: dict[str, Any]) -> None:
    """Neither key nor prompt is in an error, in whatever form it comes."""
    async with compatible_workshop("sglang", key=SECRET) as made:
        made.fake.answer_next(replace(json_answer(400, body), checks=False))
        broken = await made.workshop.broken(replace(drawing(made.model), prompt=PROMPT))
    shown = repr((broken, vars(broken.error), broken.error.facts()))

    assert "Zx81" not in shown
    assert "Ermintrude" not in shown


async def test_words_of_the_caller_do_not_decide_what_is_wrong() -> None:
    """A prompt that speaks of moderation, repeated in an error of another kind."""
    prompt = "a poster about NSFW content moderation and invalid API keys"
    async with compatible_workshop("sglang") as made:
        answer = json_answer(400, {"detail": f"cannot draw {prompt} at that size"})
        made.fake.answer_next(replace(answer, checks=False))
        broken = await made.workshop.broken(replace(drawing(made.model), prompt=prompt))

    assert broken.error.reason is Reason.INVALID_REQUEST


async def answered(dialect: Dialect, response: httpx.Response) -> list[object]:
    """Run a task that gets this response; tells what came of it, the error last."""
    provider = PROVIDER.build("house", CompatibleSettings(dialect))
    http = HttpClient(HttpSettings("http://127.0.0.1:9/v1"), httpx.MockTransport(lambda _: response))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http)
    task = Task(Operation.GENERATE, "acme/paint", "a boat", Options(count=2, preview_count=0))
    found: list[object] = []
    try:
        async for event in provider.run(task, call):
            found.append(event)  # noqa: PERF401 - those before an error count
    except ImageError as error:
        found.append(error)
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    dialect=st.sampled_from(["together", "recraft", "vllm-omni"]), status=st.sampled_from([200, 400, 500]), body=_JSON
)
async def test_no_answer_is_a_fault_of_ours(dialect: Dialect, status: int, body: Any) -> None:
    """Whatever JSON comes: events of the contract, or an error with a reason, and nothing else."""
    found = await answered(dialect, _response(status, body))

    assert found
    assert all(isinstance(item, Complete | Failed | Preview | Report | ImageError) for item in found)
    assert not any(isinstance(item, ImageError) for item in found[:-1])


async def test_facts_are_words_and_numbers_that_can_be_told() -> None:
    """What no result can hold is left out; the picture is there."""
    body = {"data": [{"b64_json": "aGVsbG8="}], "id": 10**400, "model": True, "inference_time_s": "x" * 101}
    found = await answered("sglang", httpx.Response(200, json=body))

    assert isinstance(found[0], Report)
    assert found[0].metadata == {}


def _response(status: int, body: Any) -> httpx.Response:
    try:
        return httpx.Response(status, json=body)
    except ValueError:  # NaN and Infinity, which httpx does not write
        return httpx.Response(status, content=b'{"data": NaN}')


@given(payload=_JSON)
def test_errors_and_lists_of_any_form_are_read_or_left(payload: Any) -> None:
    """Nothing is raised for an error, and nothing but what its reader expects for a list."""
    said = error_in(payload)
    assert said is None or hasattr(said, "get")
    with suppress(KeyError, TypeError, AttributeError):
        assert all(isinstance(name, str) for name in listed_ids(payload))

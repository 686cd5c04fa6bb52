"""What the adapter sends is what the vendor's package `fal-client` sends for the same wish.

Two differences are on purpose. The package asks for statuses with `?logs=false`, which is what no query says, too. And
what it sends as a model's arguments is up to its caller: they are written here by hand, after the vendor's pages.
"""

import base64
import json
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.polling import Pace
from imagegen_server.providers.base import Call
from imagegen_server.providers.fal import FalSettings
from PIL import Image

from tests.support.fal_api import KEY
from tests.support.fal_package import BASE_URL, answer_to, sent_by_package
from tests.support.fal_provider import HERE, fal_provider
from tests.support.generation import as_input
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest, recorded

_PICTURE = Image.new("RGB", (16, 16), "teal")
PICTURES = {"png": png(16, 16), "jpeg": encoded(_PICTURE, "JPEG"), "webp": encoded(_PICTURE, "WEBP")}
URLS = {kind: f"data:image/{kind};base64,{base64.b64encode(data).decode()}" for kind, data in PICTURES.items()}
NAMES = {"1:1": "square_hd", "4:3": "landscape_4_3", "9:16": "portrait_16_9"}
AT_ONCE = Pace(first=0.0)


@dataclass(frozen=True)
class Asked:
    """A wish in both languages: a task for the adapter, arguments for the package."""

    task: Task
    arguments: dict[str, Any]


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60)
_PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "num_inference_steps": st.integers(1, 50),
        "guidance_scale": st.floats(1, 20),
        "enable_safety_checker": st.booleans(),
        "acceleration": st.sampled_from(["none", "regular"]),
        "loras": st.lists(st.fixed_dictionaries({"path": _TEXTS, "scale": st.floats(0, 4)}), max_size=2),
    },
)


@st.composite
def _asked(draw: st.DrawFn) -> Asked:
    """Make a wish for a model of the FLUX family, drawing or editing."""
    kinds = draw(st.lists(st.sampled_from(sorted(PICTURES)), max_size=3))
    arguments: dict[str, Any] = {"prompt": draw(_TEXTS), "sync_mode": True}
    options = Options(count=draw(st.integers(1, 4)), seed=draw(st.none() | st.integers(0, 2**31)), preview_count=0)
    if options.count != 1:
        arguments["num_images"] = options.count
    if options.seed is not None:
        arguments["seed"] = options.seed
    match draw(st.sampled_from(["", "size", "ratio"])):
        case "size":
            size = PixelSize(draw(st.integers(1, 2048)), draw(st.integers(1, 2048)))
            options, arguments["image_size"] = replace(options, size=size), {"width": size.width, "height": size.height}
        case "ratio":
            ratio = draw(st.sampled_from(sorted(NAMES)))
            options, arguments["image_size"] = replace(options, aspect_ratio=ratio), NAMES[ratio]
    if kind := draw(st.sampled_from(["", "jpeg", "png"])):
        options, arguments["output_format"] = replace(options, format=kind), kind
    if kinds:
        arguments["image_urls"] = [URLS[name] for name in kinds]
    params: dict[str, Any] = draw(_PARAMS)
    model = "fal-ai/flux-2/edit" if kinds else draw(st.sampled_from(["fal-ai/flux/dev", "fal-ai/flux-2/turbo"]))
    operation = Operation.EDIT if kinds else Operation.GENERATE
    images = tuple(as_input(PICTURES[name]) for name in kinds)
    return Asked(Task(operation, model, arguments["prompt"], options, images, params=params), arguments | params)


async def sent_by_adapter(task: Task, table: FalSettings = HERE, *, leaving: bool = False) -> list[RecordedRequest]:
    """Run a task against a transport that answers as the package's does, and return what was sent."""
    requests: list[RecordedRequest] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), await request.aread()))
        return answer_to(path, URLS["png"], status="IN_PROGRESS" if leaving else "COMPLETED")

    provider = fal_provider(table, AT_ONCE)
    http = HttpClient(HttpSettings(f"{BASE_URL}/queue"), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, Secret(KEY))
    prepared, warnings = provider.prepare(task)
    assert not warnings
    # The pictures but one are missing, if several were asked for.
    with suppress(ImageError):
        async with aclosing(provider.run(prepared, call)) as running:
            async for _ in running:
                if leaving:
                    break
    await provider.close()
    return requests


def _assert_same(ours: RecordedRequest, theirs: RecordedRequest) -> None:
    assert (ours.method, ours.path, ours.media_type) == (theirs.method, theirs.path, theirs.media_type)
    for name in ("authorization", *(name for name in {*ours.headers, *theirs.headers} if name.startswith("x-fal-"))):
        assert ours.headers[name] == theirs.headers[name]
    assert (ours.json if ours.body else "") == (theirs.json if theirs.body else "")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked())
async def test_a_request_is_submitted_in_the_same_words(asked: Asked) -> None:
    """Path, key and JSON are equal."""
    (theirs,) = await sent_by_package(lambda client: client.submit(asked.task.model, asked.arguments))

    _assert_same((await sent_by_adapter(asked.task))[0], theirs)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked())
async def test_a_stream_is_asked_for_in_the_same_words(asked: Asked) -> None:
    """Path, key, JSON and the kind of answer that is wanted are equal."""

    async def stream(client: Any) -> None:
        async for _ in client.stream(asked.task.model, asked.arguments):
            pass

    (theirs,) = await sent_by_package(stream)
    task = replace(asked.task, options=replace(asked.task.options, preview_count=1))
    (ours, *_) = await sent_by_adapter(task)

    _assert_same(ours, theirs)
    assert ours.headers["accept"] == theirs.headers["accept"]


TASK = Task(Operation.GENERATE, "fal-ai/flux/dev", "a boat", Options(count=1, preview_count=0))


async def test_what_is_set_up_is_said_in_the_same_headers() -> None:
    """Priority and time to start as the package says them; the others as fal.ai/docs has them for the package."""
    lifecycle = {"X-Fal-Object-Lifecycle-Preference": json.dumps({"expiration_duration_seconds": 3600})}
    more = {"X-Fal-Store-IO": "0", "X-Fal-No-Retry": "1", **lifecycle}
    (theirs,) = await sent_by_package(
        lambda client: client.submit(
            TASK.model, {"prompt": "a boat", "sync_mode": True}, priority="low", start_timeout=30, headers=more
        )
    )
    table = replace(HERE, priority="low", start_seconds=30.0, media_seconds=3600, store_io=False, retries=False)
    ours = (await sent_by_adapter(TASK, table))[0]

    assert len([name for name in theirs.headers if name.startswith("x-fal-")]) == 5
    _assert_same(ours, theirs)


async def test_the_rest_of_the_way_is_the_same() -> None:
    """Asking after a request, getting its answer and calling it off, at the addresses that were answered."""

    async def use(client: Any) -> None:
        handle = await client.submit(TASK.model, {})
        await handle.get()
        await handle.cancel()

    _, status, answer, cancel = await sent_by_package(use)
    _, our_status, our_answer = await sent_by_adapter(TASK)
    our_cancel = (await sent_by_adapter(TASK, leaving=True))[-1]

    assert status.query == "logs=false"
    for ours, theirs in ((our_status, status), (our_answer, answer), (our_cancel, cancel)):
        _assert_same(ours, theirs)
        assert ours.query == ""

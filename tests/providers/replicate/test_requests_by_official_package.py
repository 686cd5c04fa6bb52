"""What the adapter sends is what the vendor's package `replicate` sends for the same wish.

Two differences are on purpose. The adapter says with `Cancel-After` how much time is left, which the package cannot
say. And it never says `Prefer: wait`, as the package's `run` does: its own `predictions.create` does not, either.
What the package sends as a model's input is up to its caller: it is written here by hand, after the models' pages.
"""

import base64
import io
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.polling import Pace
from imagegen_server.providers.base import Call
from PIL import Image

from tests.support.generation import as_input
from tests.support.pictures import encoded, noisy_png, png
from tests.support.recording import RecordedRequest, recorded
from tests.support.replicate_api import KEY
from tests.support.replicate_models import VERSION
from tests.support.replicate_package import ORIGIN, answer_to, sent_by_package
from tests.support.replicate_provider import replicate_provider

_PICTURE = Image.new("RGB", (16, 16), "teal")
PICTURES = {"png": png(16, 16), "jpeg": encoded(_PICTURE, "JPEG"), "webp": encoded(_PICTURE, "WEBP")}
URL = f"data:image/png;base64,{base64.b64encode(PICTURES['png']).decode()}"
FLUX_2 = "black-forest-labs/flux-2-pro"


class Named(io.BytesIO):
    """A file with a name, by which the package tells its type."""

    def __init__(self, data: bytes, name: str) -> None:
        """Hold the bytes."""
        super().__init__(data)
        self.name = name


@dataclass(frozen=True)
class Asked:
    """A wish in both languages: a task for the adapter, an input for the package."""

    task: Task
    given: dict[str, Any]
    kinds: tuple[str, ...]


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60)
_PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "safety_tolerance": st.integers(1, 5),
        "prompt_upsampling": st.booleans(),
        "guidance": st.floats(1, 20),
        "loras": st.lists(st.fixed_dictionaries({"path": _TEXTS, "scale": st.floats(0, 4)}), max_size=2),
    },
)


@st.composite
def _asked(draw: st.DrawFn) -> Asked:
    """Make a wish for a model that draws and edits."""
    kinds = tuple(draw(st.lists(st.sampled_from(sorted(PICTURES)), max_size=3)))
    options, given_input = Options(count=1, preview_count=0), {"prompt": draw(_TEXTS)}
    sent: dict[str, Any] = dict(given_input)
    if (seed := draw(st.none() | st.integers(0, 2**31))) is not None:
        options, sent["seed"] = replace(options, seed=seed), seed
    match draw(st.sampled_from(["", "size", "ratio"])):
        case "size":
            size = PixelSize(draw(st.integers(256, 2048)), draw(st.integers(256, 2048)))
            options = replace(options, size=size)
            sent |= {"aspect_ratio": "custom", "width": size.width, "height": size.height}
        case "ratio":
            options, sent["aspect_ratio"] = replace(options, aspect_ratio="3:2"), "3:2"
    if (kind := draw(st.sampled_from(["", "jpeg", "png", "webp"]))) and (quality := draw(st.integers(0, 100))) >= 0:
        options = replace(options, format=kind, compression=quality)
        sent |= {"output_format": kind.replace("jpeg", "jpg"), "output_quality": quality}
    params: dict[str, Any] = draw(_PARAMS)
    images = tuple(as_input(PICTURES[name]) for name in kinds)
    operation = Operation.EDIT if kinds else Operation.GENERATE
    return Asked(Task(operation, FLUX_2, sent["prompt"], options, images, params=params), sent | params, kinds)


async def sent_by_adapter(task: Task, *, leaving: bool = False) -> list[RecordedRequest]:
    """Run a task against a transport that answers as the package's does, and return what was sent."""
    requests: list[RecordedRequest] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), await request.aread()))
        return answer_to(request.method, path, URL, status="processing" if leaving else "succeeded")

    provider = replicate_provider(pace=Pace(first=0.0))
    http = HttpClient(HttpSettings(f"{ORIGIN}/v1"), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, Secret(KEY))
    prepared, warnings = provider.prepare(task)
    assert not warnings
    async with aclosing(provider.run(prepared, call)) as running:
        async for _ in running:
            if leaving:
                break
    await provider.close()
    return requests


def _assert_same(ours: RecordedRequest, theirs: RecordedRequest) -> None:
    assert (ours.method, ours.path, ours.query) == (theirs.method, theirs.path, theirs.query)
    assert ours.media_type == theirs.media_type
    for name in ("authorization", "prefer"):
        assert ours.headers.get(name) == theirs.headers.get(name)
    if ours.media_type != "multipart/form-data":
        assert (ours.json if ours.body else "") == (theirs.json if theirs.body else "")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked())
async def test_a_prediction_is_created_in_the_same_words(asked: Asked) -> None:
    """Path, key and JSON are equal, with images as data URLs."""
    files = [Named(PICTURES[kind], f"1.{kind}") for kind in asked.kinds]
    body = asked.given | ({"input_images": files} if files else {})
    (theirs,) = await sent_by_package(
        lambda client: client.models.predictions.async_create(FLUX_2, body, file_encoding_strategy="base64")
    )
    ours = (await sent_by_adapter(asked.task))[0]

    _assert_same(ours, theirs)
    assert ours.headers["cancel-after"] == "60s"


async def test_a_version_is_run_in_the_same_words() -> None:
    """By its id in the body. The adapter asks first for its inputs, if it does not know the model."""
    task = Task(Operation.GENERATE, f"qwen/qwen-image:{VERSION}", "a boat", Options(count=1, preview_count=0))
    (theirs,) = await sent_by_package(lambda client: client.predictions.async_create(VERSION, {"prompt": "a boat"}))
    question, ours, *_ = await sent_by_adapter(task)

    assert (question.method, question.path) == ("GET", f"/v1/models/qwen/qwen-image/versions/{VERSION}")
    _assert_same(ours, theirs)


async def test_a_large_image_is_uploaded_in_the_same_form() -> None:
    """The part has the same name and type, and what it is called in the input is the address that was answered."""
    large = noisy_png(400, 400)
    task = Task(Operation.EDIT, FLUX_2, "a boat", Options(count=1, preview_count=0), (as_input(large),))
    body = {"prompt": "a boat", "input_images": [Named(large, "1.png")]}
    upload, created = await sent_by_package(lambda client: client.models.predictions.async_create(FLUX_2, body))
    our_upload, our_created, *_ = await sent_by_adapter(task)

    _assert_same(our_upload, upload)
    assert our_upload.parts == upload.parts
    _assert_same(our_created, created)


@pytest.mark.parametrize("leaving", [False, True])
async def test_the_rest_of_the_way_is_the_same(leaving: bool) -> None:
    """Asking after a prediction, and calling it off."""

    async def use(client: Any) -> None:
        prediction = await client.models.predictions.async_create(FLUX_2, {"prompt": "a boat"})
        await (prediction.async_cancel() if leaving else prediction.async_reload())

    task = Task(Operation.GENERATE, FLUX_2, "a boat", Options(count=1, preview_count=0))
    _, theirs = await sent_by_package(use)
    ours = (await sent_by_adapter(task, leaving=leaving))[-1]

    _assert_same(ours, theirs)

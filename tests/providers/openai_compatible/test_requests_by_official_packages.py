"""What the adapter sends is what the official packages send to the same servers for the same wish.

`openai` is asked in the words that the servers' pages name, what is theirs alone in its `extra_body`; `together` in its
own. One difference is wanted: sd-server and LocalAI read some of it out of the prompt, which no package writes; there
the package is given that prompt.
"""

import base64
import json
import time
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call
from imagegen_server.providers.openai_compatible import PROVIDER, CompatibleSettings
from imagegen_server.providers.openai_compatible.settings import PRESETS, Dialect
from PIL import Image

from tests.support.generation import as_input
from tests.support.openai_compatible_api import KEY
from tests.support.openai_compatible_package import BASE_URL, sent_by_openai, sent_by_together
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest, recorded

PICTURES = {"png": png(16, 16), "jpeg": encoded(Image.new("RGB", (16, 16), "teal"), "JPEG")}
ENDINGS = {"png": "png", "jpeg": "jpg"}
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="|<>"), min_size=1, max_size=30
)
BY_OPENAI: list[Dialect] = ["openai", "recraft", "deepinfra", "localai", "sglang", "vllm-omni", "sd-server"]
BY_FORMS: list[Dialect] = ["openai", "deepinfra", "sglang", "vllm-omni", "sd-server"]
_KNOWN_TO_OPENAI = ("quality", "background", "output_format", "output_compression", "response_format", "n", "size")


@st.composite
def options_of(draw: st.DrawFn, dialect: Dialect) -> Options:
    """Choose options that a server takes."""
    values: dict[str, st.SearchStrategy[Any]] = {
        "size": st.builds(PixelSize, st.integers(64, 2048), st.integers(64, 2048)),
        "quality": st.sampled_from(["low", "high"]),
        "background": st.sampled_from(["opaque", "transparent"]),
        "format": st.sampled_from(["png", "jpeg"]),
        "compression": st.integers(0, 100),
        "seed": st.integers(0, 2**31),
        "negative_prompt": WORDS,
    }
    known = ["size", *(name for name in PRESETS[dialect].options if name in values)]
    chosen = draw(st.fixed_dictionaries({}, optional={name: values[name] for name in known}))
    return Options(count=draw(st.integers(1, PRESETS[dialect].max_images or 1)), preview_count=0, **chosen)


def said(dialect: Dialect, prompt: str, model: str, options: Options, params: dict[str, Any]) -> dict[str, Any]:
    """Write the fields as the server's pages name them."""
    fields: dict[str, Any] = {"model": model, "prompt": prompt} | params
    if options.count and options.count > 1:
        fields["n"] = options.count
    if options.size and dialect == "together":
        fields |= {"width": options.size.width, "height": options.size.height}
    elif options.size:
        fields["size"] = f"{options.size.width}x{options.size.height}"
    names = {"format": "output_format", "compression": "output_compression"}
    names |= {"seed": "random_seed"} if dialect == "recraft" else {}
    for option in ("quality", "background", "format", "compression", "seed", "negative_prompt"):
        if (value := getattr(options, option)) is not None:
            fields[names.get(option, option)] = value
    if dialect != "sd-server":
        fields["response_format"] = "base64" if dialect == "together" else "b64_json"
    if dialect == "localai" and "negative_prompt" in fields:
        fields["prompt"] += "|" + fields.pop("negative_prompt")
    inside = {name: fields.pop(name) for name in ("seed", "negative_prompt", *params) if name in fields}
    if dialect == "sd-server" and inside:
        fields["prompt"] += f"<sd_cpp_extra_args>{json.dumps(inside)}</sd_cpp_extra_args>"
        return fields
    return fields | inside


def for_openai(fields: dict[str, Any]) -> dict[str, Any]:
    """Put what the package does not know by name into its extra body."""
    known = {name: value for name, value in fields.items() if name in ("model", "prompt", *_KNOWN_TO_OPENAI)}
    return known | {"extra_body": {name: value for name, value in fields.items() if name not in known}}


async def sent_by_adapter(task: Task, dialect: Dialect) -> RecordedRequest:
    """Run a task against a transport that answers without images, and return what was sent."""
    requests: list[RecordedRequest] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), request.content))
        return httpx.Response(200, json={"created": 0, "data": []})

    provider = PROVIDER.build("house", CompatibleSettings(dialect))
    http = HttpClient(HttpSettings(BASE_URL), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, Secret(KEY))
    prepared, warnings = provider.prepare(task)
    assert not warnings
    with pytest.raises(ImageError, match="no image"):
        async for _ in provider.run(prepared, call):
            pass
    (request,) = requests
    return request


def assert_same(ours: RecordedRequest, theirs: RecordedRequest) -> None:
    """Compare address and credentials."""
    assert (ours.method, ours.path, ours.media_type) == (theirs.method, theirs.path, theirs.media_type)
    assert ours.headers["authorization"] == theirs.headers["authorization"]


_SLOW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("dialect", BY_OPENAI)
@_SLOW
@given(data=st.data(), prompt=WORDS)
async def test_a_generation_in_the_words_of_openai(dialect: Dialect, data: st.DataObject, prompt: str) -> None:
    """The JSON bodies are equal."""
    options = data.draw(options_of(dialect))
    more: list[dict[str, Any]] = [{}, {"guidance_scale": 4.5, "sample_params": {"sample_steps": 8}}]
    params = data.draw(st.sampled_from(more))
    theirs = await sent_by_openai(
        lambda client: client.images.generate(**for_openai(said(dialect, prompt, "acme/m", options, params)))
    )
    ours = await sent_by_adapter(Task(Operation.GENERATE, "acme/m", prompt, options, params=params), dialect)

    assert_same(ours, theirs)
    assert ours.json == theirs.json


@pytest.mark.parametrize("dialect", BY_FORMS)
@_SLOW
@given(data=st.data(), prompt=WORDS, kinds=st.lists(st.sampled_from(sorted(PICTURES)), min_size=1, max_size=3))
async def test_an_edit_in_the_words_of_openai(
    dialect: Dialect, data: st.DataObject, prompt: str, kinds: list[str]
) -> None:
    """The same fields and files; sd-server's pages name even one image as of several."""
    options = data.draw(options_of(dialect))
    files = [
        (
            f"image-{number}.{ENDINGS[kind]}" if len(kinds) > 1 else f"image.{ENDINGS[kind]}",
            PICTURES[kind],
            f"image/{kind}",
        )
        for number, kind in enumerate(kinds, start=1)
    ]
    alone = len(files) == 1 and dialect != "sd-server"
    theirs = await sent_by_openai(
        lambda client: client.images.edit(
            **for_openai(said(dialect, prompt, "acme/m", options, {})), image=files[0] if alone else files
        )
    )
    images = tuple(as_input(PICTURES[kind]) for kind in kinds)
    ours = await sent_by_adapter(Task(Operation.EDIT, "acme/m", prompt, options, images), dialect)

    assert_same(ours, theirs)
    assert ours.fields == theirs.fields
    assert ours.files == theirs.files


@_SLOW
@given(options=options_of("together"), prompt=WORDS, kinds=st.lists(st.sampled_from(sorted(PICTURES)), max_size=3))
async def test_together_in_its_own_words(options: Options, prompt: str, kinds: list[str]) -> None:
    """Drawing, and edits of one image and of several, are the same call with other fields."""
    urls = [f"data:image/{kind};base64,{base64.b64encode(PICTURES[kind]).decode()}" for kind in kinds]
    images: dict[str, Any] = {"image_url": urls[0]} if len(urls) == 1 else {"reference_images": urls} if urls else {}
    params = {"steps": 4, "disable_safety_checker": True}
    theirs = await sent_by_together(
        lambda client: client.images.generate(**said("together", prompt, "acme/m", options, params), **images)
    )
    operation = Operation.EDIT if kinds else Operation.GENERATE
    given_images = tuple(as_input(PICTURES[kind]) for kind in kinds)
    ours = await sent_by_adapter(Task(operation, "acme/m", prompt, options, given_images, params=params), "together")

    assert_same(ours, theirs)
    assert ours.json == theirs.json

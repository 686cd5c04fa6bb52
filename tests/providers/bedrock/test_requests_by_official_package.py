"""What the adapter sends is what the vendor's own package `boto3` sends for the same model and body.

The bodies are written by hand, after the examples of the user guide: the package has no words for them. It tells more
of itself (`user-agent`, `amz-sdk-invocation-id`, `amz-sdk-request`), and signs `accept` and `amz-sdk-*` besides; we say
`accept-encoding`. Of what is signed by both the signature is proven by the fake, which takes either.
"""

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.images.masks import read_mask
from imagegen_server.providers.base import Call
from imagegen_server.providers.bedrock import PROVIDER, BedrockSettings
from PIL import Image

from tests.support.bedrock_api import KEY, MODELS, REGION
from tests.support.bedrock_package import sent_by_package
from tests.support.generation import as_input
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest, recorded

_PICTURE = Image.new("RGB", (64, 64), "teal")
PICTURES = {"png": png(64, 64), "jpeg": encoded(_PICTURE, "JPEG"), "webp": encoded(_PICTURE, "WEBP")}
MASK = png(64, 64, shade=255)
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60)
_EXTRA: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "sd3-5": {"strength": st.floats(0, 1)},
    "outpaint": {"left": st.integers(1, 2000), "creativity": st.floats(0.1, 1)},
    "search-replace": {"search_prompt": _TEXTS, "grow_mask": st.integers(0, 20)},
    "search-recolor": {"select_prompt": _TEXTS},
    "style-transfer": {"change_strength": st.floats(0.1, 1)},
    "creative-upscale": {"style_preset": st.sampled_from(["anime", "enhance"])},
}
_OPTIONS = {"output_format": "format"}


@dataclass(frozen=True)
class Asked:
    """A wish in both languages: a task for the adapter, a body for the package."""

    task: Task
    body: dict[str, Any]


@st.composite
def _asked(draw: st.DrawFn) -> Asked:
    """Make a wish that has a meaning in both languages."""
    model = draw(st.sampled_from([*MODELS, f"arn:aws:bedrock:{REGION}::foundation-model/{next(iter(MODELS))}"]))
    wanted, taken = MODELS[model.rpartition("/")[2]]
    fields = wanted.keys() | taken.keys()
    names = ["init_image", "style_image"] if "init_image" in fields else []
    if "image" in fields and (model.startswith("us.") or draw(st.booleans())):
        names = ["image"]
    keeps_shape = names and "style-guide" not in model
    extra = next((extra for name, extra in _EXTRA.items() if name in model), {}) if names else {}
    params: dict[str, Any] = draw(st.fixed_dictionaries(extra))
    pictures = [PICTURES[draw(st.sampled_from(sorted(PICTURES)))] for _ in names]
    prompt = draw(_TEXTS) if "prompt" in fields else ""
    told: dict[str, Any] = {
        "aspect_ratio": None if keeps_shape else draw(st.sampled_from([None, "21:9"])),
        "seed": draw(st.sampled_from([None, 1, 4_294_967_294])),
        "output_format": draw(st.sampled_from([None, "png", "jpeg"])),
        "negative_prompt": draw(st.sampled_from([None, "rain"])),
    }
    told = {name: value for name, value in told.items() if value is not None and name in fields}
    body = told | params | {"prompt": prompt} if prompt else told | params
    body |= {name: base64.b64encode(data).decode() for name, data in zip(names, pictures, strict=True)}
    masked = as_input(MASK) if "mask" in fields else None
    if masked:
        body["mask"] = base64.b64encode(MASK).decode()
    if names and "sd3-5" in model:
        body["mode"] = "image-to-image"
    options = Options(count=1, preview_count=0, **{_OPTIONS.get(name, name): value for name, value in told.items()})
    operation = Operation.EDIT if names else Operation.GENERATE
    images = tuple(as_input(data) for data in pictures)
    return Asked(Task(operation, model, prompt, options, images, masked, params), body)


async def sent_by_adapter(task: Task, *, bearer: bool) -> RecordedRequest:
    """Run a task against a transport that answers without images, and return what was sent."""
    requests: list[RecordedRequest] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), request.read()))
        return httpx.Response(200, json={"images": []})

    provider_settings = BedrockSettings(REGION)
    provider = PROVIDER.build("bedrock", provider_settings)
    assert PROVIDER.remote is not None
    assert PROVIDER.remote.base_url_of is not None
    http = HttpClient(HttpSettings(PROVIDER.remote.base_url_of(provider_settings)), httpx.MockTransport(answer))
    key = Secret(KEY) if bearer else None
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, key)
    prepared, warnings = provider.prepare(task)
    assert not warnings
    with pytest.raises(ImageError, match="no image"):
        async for _ in provider.run(prepared, call):
            pass
    await provider.close()
    (request,) = requests
    return request


def _signed_headers(request: RecordedRequest) -> set[str]:
    return set(request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";"))


@pytest.mark.parametrize("bearer", [False, True], ids=["signed", "key"])
def test_a_request_is_the_same(tmp_path: Path, bearer: bool) -> None:
    """Address, type, what it takes as an answer, and the JSON are equal; who asks is proven in the same way."""
    with sent_by_package(tmp_path, bearer=bearer) as send:

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(asked=_asked())
        def same(asked: Asked) -> None:
            theirs = send(
                {
                    "modelId": asked.task.model,
                    "body": json.dumps(asked.body),
                    "contentType": "application/json",
                    "accept": "application/json",
                }
            )
            ours = asyncio.run(sent_by_adapter(asked.task, bearer=bearer))
            _assert_same(ours, theirs, bearer=bearer)

        same()


def _assert_same(ours: RecordedRequest, theirs: RecordedRequest, *, bearer: bool) -> None:
    assert (ours.method, ours.path, ours.media_type) == (theirs.method, theirs.path, theirs.media_type)
    assert [ours.headers[name] for name in ("host", "accept")] == [theirs.headers[name] for name in ("host", "accept")]
    assert ours.json == theirs.json
    if bearer:
        assert ours.headers["authorization"] == theirs.headers["authorization"]
        return
    assert ours.headers["x-amz-security-token"] == theirs.headers["x-amz-security-token"]
    scheme, _, credential = ours.headers["authorization"].partition(", ")[0].partition(" ")
    assert theirs.headers["authorization"].startswith(f"{scheme} {credential}")
    assert _signed_headers(ours) == {"content-type", "host", "x-amz-date", "x-amz-security-token"}
    assert _signed_headers(theirs) - _signed_headers(ours) <= {"accept", "amz-sdk-invocation-id", "amz-sdk-request"}


def test_the_mask_here_is_what_both_send() -> None:
    """A grey picture that is white where the picture may change: ours is written anew, and must come out as it was."""
    assert read_mask(MASK).coverage == bytes([255]) * 64 * 64

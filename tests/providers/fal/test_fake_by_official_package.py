"""The fake fal.ai as the vendor's own package `fal-client` sees it."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from tests.support.fal_api import PARTIALS, SEED
from tests.support.fal_package import package_on_fake
from tests.support.pictures import png
from tests.support.tools import require_package

MODEL = "fal-ai/flux/dev"
WISH: dict[str, Any] = {"prompt": "a grey square"}
PICTURE = f"data:image/png;base64,{base64.b64encode(png()).decode()}"


def opened(url: str) -> Image.Image:
    """Open a picture that stands in a data URL."""
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2], validate=True)))


async def test_the_queue() -> None:
    """A request is submitted, waits, is drawn and is completed, and its answer can be got."""
    fal_client = require_package("fal_client")
    async with package_on_fake() as (fake, client):
        handle = await client.submit(MODEL, WISH | {"num_images": 2, "sync_mode": True, "output_format": "jpeg"})
        statuses = [await handle.status(with_logs=False) for _ in range(3)]
        answer = await handle.get()

    assert handle.request_id in fake.queue.works
    assert statuses == [
        fal_client.Queued(position=2),
        fal_client.InProgress(logs=None),
        fal_client.Completed(logs=None, metrics={"inference_time": 0.5}),
    ]
    assert [opened(image["url"]).format for image in answer["images"]] == ["JPEG", "JPEG"]
    assert (answer["seed"], answer["has_nsfw_concepts"]) == (SEED, [False, False])


async def test_subscribing() -> None:
    """The package's own way through the queue, which is also ours."""
    async with package_on_fake() as (_, client):
        answer = await client.subscribe(MODEL, WISH | {"seed": 5}, interval=0.001)

    assert answer["seed"] == 5
    assert answer["images"][0]["url"].startswith("http://127.0.0.1")


async def test_an_edit() -> None:
    """Images are data URLs, with a mask where there is one."""
    async with package_on_fake() as (_, client):
        wish = WISH | {"image_url": PICTURE, "mask_url": PICTURE, "sync_mode": True}
        answer = await client.subscribe("fal-ai/flux-pro/v1/fill", wish, interval=0.001)

    assert opened(answer["images"][0]["url"]).size == (16, 16)


async def test_the_platforms_headers() -> None:
    """Those that the package sends are taken."""
    async with package_on_fake() as (fake, client):
        lifecycle = {"X-Fal-Object-Lifecycle-Preference": json.dumps({"expiration_duration_seconds": 60})}
        more = {"X-Fal-Store-IO": "0", "X-Fal-No-Retry": "1", **lifecycle}
        await client.submit(MODEL, WISH, priority="low", start_timeout=30, headers=more)

    assert fake.requests[0].headers["x-fal-queue-priority"] == "low"


async def test_a_stream() -> None:
    """All events but the last hold what is not finished."""
    async with package_on_fake() as (_, client):
        events = [event async for event in client.stream(MODEL, WISH | {"sync_mode": True})]

    assert len(events) == PARTIALS + 1
    assert len({event["images"][0]["url"] for event in events}) == PARTIALS + 1
    assert opened(events[-1]["images"][0]["url"]).format == "PNG"


async def test_calling_off() -> None:
    """The package knows no answer to it."""
    async with package_on_fake() as (fake, client):
        handle = await client.submit(MODEL, WISH)
        await handle.cancel()

    assert fake.queue.cancelled == [handle.request_id]


@pytest.mark.parametrize(
    ("model", "wish", "status", "told"),
    [
        ("fal-ai/of-yesterday", WISH, 404, "not found"),
        (MODEL, {}, 422, "Field required"),
        (MODEL, WISH | {"num_images": 9}, 422, "less_than_equal"),
        (MODEL, WISH | {"bogus": 1}, 422, "extra_forbidden"),
        (MODEL, {"prompt": "forbidden"}, 422, "content_policy_violation"),
        (
            "fal-ai/flux-pro/v1/fill",
            WISH | {"image_url": "https://x.example/", "mask_url": PICTURE},
            422,
            "image_load_error",
        ),
    ],
    ids=["model", "missing", "range", "unknown", "policy", "image"],
)
async def test_refusals(model: str, wish: dict[str, Any], status: int, told: str) -> None:
    """At once by the platform, or as what became of the work by a model."""
    error = require_package("fal_client").FalClientHTTPError
    async with package_on_fake() as (_, client):
        with pytest.raises(error) as caught:
            await client.subscribe(model, wish, interval=0.001)

    assert caught.value.status_code == status
    assert told in str(caught.value.message)


async def test_a_wrong_key() -> None:
    """Is refused before anything is taken on."""
    error = require_package("fal_client").FalClientHTTPError
    async with package_on_fake("wrong:key") as (fake, client):
        with pytest.raises(error) as caught:
            await client.submit(MODEL, WISH)

    assert caught.value.status_code == 401
    assert fake.queue.works == {}

"""The fake Replicate as the vendor's own package `replicate` sees it."""

import io
from typing import Any

import pytest

from tests.support.pictures import noisy_png, png
from tests.support.replicate_api import SEED
from tests.support.replicate_models import COLLECTIONS, VERSION
from tests.support.replicate_package import package_on_fake
from tests.support.tools import require_package

MODEL = "black-forest-labs/flux-schnell"
WISH: dict[str, Any] = {"prompt": "a grey square"}


class Named(io.BytesIO):
    """A file with a name, by which the package tells its type."""

    name = "1.png"


async def test_a_prediction() -> None:
    """It is created, starts, is at work and succeeds; the package reads the steps off the logs as the adapter does."""
    async with package_on_fake() as (_, client):
        prediction = await client.models.predictions.async_create(MODEL, WISH | {"num_outputs": 2})
        seen = [prediction.status]
        progress = None
        while prediction.status not in ("succeeded", "failed"):
            await prediction.async_reload()
            seen.append(prediction.status)
            progress = prediction.progress or progress

    assert seen == ["starting", "processing", "succeeded"]
    assert len(prediction.output) == 2
    assert f"Using seed: {SEED}" in prediction.logs
    assert progress is not None
    assert (progress.percentage, progress.current, progress.total) == (0.5, 2, 4)


async def test_running_a_model() -> None:
    """The package holds the request until the prediction has ended."""
    async with package_on_fake() as (fake, client):
        fake.inside = True
        (output,) = await client.async_run(MODEL, WISH | {"output_format": "png"})
        data = await output.aread()

    assert data.startswith(b"\x89PNG")
    assert fake.requests[0].headers["prefer"] == "wait"


async def test_running_a_version() -> None:
    """Named behind the model."""
    async with package_on_fake() as (fake, client):
        fake.inside = True
        prediction = await client.predictions.async_create(f"qwen/qwen-image:{VERSION}", WISH)

    assert prediction.version == VERSION


@pytest.mark.parametrize("strategy", ["base64", "url"])
async def test_images_go_along(strategy: str) -> None:
    """As data URLs, or uploaded."""
    async with package_on_fake() as (fake, client):
        image = png() if strategy == "base64" else noisy_png(400, 400)
        given = WISH | {"input_images": [Named(image)]}
        prediction = await client.models.predictions.async_create(
            "black-forest-labs/flux-2-pro", given, file_encoding_strategy=strategy
        )

    assert prediction.status == "starting"
    assert len(fake.work.files) == (strategy == "url")


async def test_calling_off() -> None:
    """The package reads the prediction that is answered."""
    async with package_on_fake() as (fake, client):
        prediction = await client.models.predictions.async_create(MODEL, WISH)
        await prediction.async_cancel()

    assert prediction.status == "canceled"
    assert fake.work.canceled == [prediction.id]


async def test_what_there_is() -> None:
    """Collections with their models, a model with its version, and the document of that."""
    async with package_on_fake() as (_, client):
        collection = await client.collections.async_get("text-to-image")
        model = await client.models.async_get(MODEL)
        version = await model.versions.async_get(VERSION)

    assert tuple(listed.id for listed in collection.models) == COLLECTIONS["text-to-image"]
    assert model.latest_version.openapi_schema == version.openapi_schema
    assert "prompt" in version.openapi_schema["components"]["schemas"]["Input"]["properties"]


@pytest.mark.parametrize(
    ("model", "given", "status", "said"),
    [
        ("someone/of-yesterday", WISH, 404, "could not be found"),
        (MODEL, {}, 422, "prompt is required"),
        (MODEL, WISH | {"num_outputs": 9}, 422, "less than or equal to 4"),
        (MODEL, WISH | {"output_format": "gif"}, 422, "must be one of"),
        (MODEL, WISH | {"bogus": 1}, 422, "Additional property"),
        ("black-forest-labs/flux-2-pro", WISH | {"input_images": ["nonsense"]}, 422, "format 'uri'"),
    ],
    ids=["model", "missing", "range", "enum", "unknown", "image"],
)
async def test_refusals(model: str, given: dict[str, Any], status: int, said: str) -> None:
    """The package reads them."""
    error = require_package("replicate.exceptions").ReplicateError
    async with package_on_fake() as (_, client):
        with pytest.raises(error) as caught:
            await client.models.predictions.async_create(model, given)

    assert caught.value.status == status
    assert said in caught.value.detail


async def test_a_prediction_that_fails() -> None:
    """Is an error of the model to the package."""
    error = require_package("replicate.exceptions").ModelError
    async with package_on_fake() as (_, client):
        with pytest.raises(error, match="E005"):
            await client.async_run(MODEL, {"prompt": "forbidden"})


async def test_a_wrong_key() -> None:
    """Is refused before anything is created."""
    error = require_package("replicate.exceptions").ReplicateError
    async with package_on_fake("r8_wrong") as (fake, client):
        with pytest.raises(error) as caught:
            await client.models.predictions.async_create(MODEL, WISH)

    assert (caught.value.status, caught.value.title) == (401, "Unauthenticated")
    assert fake.work.predictions == {}

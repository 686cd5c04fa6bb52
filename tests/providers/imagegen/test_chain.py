"""The same wish, asked of a server and through another one in front of it, comes to the same."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.rpc import error_details_pb2
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.errors import Reason

from tests.support.imagegen_provider import Chain, chain
from tests.support.imagegen_told import Told, hear
from tests.support.pictures import png

SMALL: dict[str, Any] = {"size": image_pb2.PixelSize(width=64, height=48), "seed": 7}


@pytest.fixture(name="servers")
async def _servers() -> AsyncIterator[Chain]:
    async with chain() as servers:
        yield servers


def params(through: bool, **said: Any) -> dict[str, struct_pb2.Struct]:
    """Params of the far server's sandbox, as its own caller says them and as that of the near one does."""
    struct = struct_pb2.Struct()
    struct.update({"sandbox": said} if through else said)
    return {"far" if through else "sandbox": struct}


def drawing(model: str, through: bool, *, given: dict[str, Any] | None = None, **options: Any) -> Any:
    """Wish for pictures of the far server's sandbox."""
    return image_service_pb2.GenerateRequest(
        model=f"far/{model}" if through else model,
        input=image_pb2.ImageInput(prompt="a boat at dusk"),
        options=image_pb2.ImageOptions(**SMALL | options),
        params=params(through, **given) if given else {},
    )


def editing(model: str, through: bool, *, mask: bytes | None = None) -> Any:
    """Wish for a changed picture of the far server's sandbox."""
    return image_service_pb2.EditRequest(
        model=f"far/{model}" if through else model,
        input=image_pb2.ImageEditInput(
            prompt="at night",
            images=[image_pb2.ImageSource(data=png(64, 48)), image_pb2.ImageSource(data=png(32, 32, shade=9))],
            mask=image_pb2.ImageSource(data=mask) if mask else None,
        ),
        options=image_pb2.ImageOptions(seed=3, preview_count=1),
    )


async def both(servers: Chain, wish: Any, *args: Any, **given: Any) -> tuple[Told, Told]:
    """Ask the far server directly, and through the near one."""
    direct = await hear(servers.far, wish(*args, through=False, **given))
    return direct, await hear(servers.near, wish(*args, through=True, **given))


def plain(metadata: Any, through: bool) -> dict[str, Any]:
    """Metadata by provider of the far server."""
    said = {name: dict(struct) for name, struct in metadata.items()}
    if through and said:
        assert list(said) == ["far"]
        return {name: dict(value) for name, value in said["far"].items()}
    return said


def facts(told: Told, *, through: bool) -> list[tuple[Any, ...]]:
    """What is said of each image of the result, without ids."""
    return [
        (
            image.index,
            image.image.media_type,
            image.image.width,
            image.image.height,
            image.image.sha256,
            image.revised_prompt,
            image.seed,
            plain(image.metadata, through),
        )
        for image in told.result.images
    ]


def attempts(told: Any, prefix: str = "") -> list[tuple[Any, ...]]:
    """The calls to providers, without times."""
    return [
        (
            prefix + one.provider,
            prefix + one.model,
            one.outcome,
            one.billed,
            one.reason,
            one.http_status,
            one.provider_request_id,
        )
        for one in told.attempts
    ]


def same_result(direct: Told, through: Told) -> None:
    """The results are equal but for ids and times."""
    assert direct.error is None
    assert through.error is None
    assert through.bytes == direct.bytes
    assert through.order == direct.order
    assert facts(through, through=True) == facts(direct, through=False)
    assert through.result.model == f"far/{direct.result.model}"
    assert attempts(through.result) == attempts(direct.result, "far/")
    assert through.result.usage == direct.result.usage
    assert plain(through.result.metadata, through=True) == plain(direct.result.metadata, through=False)
    assert [(one.field, one.reason) for one in through.result.warnings] == [
        (one.field, one.reason) for one in direct.result.warnings
    ]


async def test_a_picture_with_previews_is_the_same(servers: Chain) -> None:
    """Bytes of previews and of the picture, their order, and all facts."""
    direct, through = await both(servers, drawing, "sandbox/scene", preview_count=3)

    same_result(direct, through)
    assert through.order == ["preview 0"] * 3 + ["complete 0"]


async def test_the_default_of_previews_is_that_of_the_far_model(servers: Chain) -> None:
    """Two, because the near server has asked what the model can do."""
    direct, through = await both(servers, drawing, "sandbox/scene")

    same_result(direct, through)
    assert through.order == ["preview 0", "preview 0", "complete 0"]


async def test_several_images_are_the_same(servers: Chain) -> None:
    """More than one request of the far provider makes, with the seeds that the far server chooses."""
    direct, through = await both(servers, drawing, "sandbox/scene", count=6, preview_count=0)

    assert sorted(through.order) == sorted(direct.order)
    assert through.bytes == direct.bytes
    assert facts(through, through=True) == facts(direct, through=False)
    assert attempts(through.result) == attempts(direct.result, "far/")


async def test_an_edit_with_a_mask_is_the_same(servers: Chain) -> None:
    """Two input images and a mask."""
    same_result(*await both(servers, editing, "sandbox/scene", mask=png(64, 48, shade=255)))
    same_result(*await both(servers, editing, "sandbox/scene"))


async def test_some_images_and_some_failures_are_the_same(servers: Chain) -> None:
    """Those that came are kept, and each that did not has its reason, bill and origin."""
    direct, through = await both(servers, drawing, "sandbox/partial", count=4, preview_count=0)

    assert facts(through, through=True) == facts(direct, through=False)
    assert attempts(through.result) == attempts(direct.result, "far/")
    assert [failure.index for failure in through.result.failures] == [1, 3]
    for ours, theirs in zip(through.result.failures, direct.result.failures, strict=True):
        assert (ours.index, ours.reason, ours.message, ours.billed) == (
            theirs.index,
            theirs.reason,
            theirs.message,
            theirs.billed,
        )
        assert named(ours.metadata) == named(theirs.metadata, "far/")


def named(metadata: Any, prefix: str = "") -> dict[str, str]:
    """What an error says of its origin, without ids."""
    told = {key: value for key, value in metadata.items() if key not in {"generation_id", "request_id"}}
    return told | {key: prefix + told[key] for key in ("provider", "model") if key in told}


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
async def test_every_error_is_the_same(servers: Chain, reason: Reason) -> None:
    """Code, message, reason, bill, wait, fields, origin, attempts and usage."""
    model = f"sandbox/fail-{reason.name.lower().replace('_', '-')}"
    direct, through = await both(servers, drawing, model)

    assert direct.error is not None
    assert through.error is not None
    assert (through.error.code(), through.error.details()) == (direct.error.code(), direct.error.details())
    ours, theirs = (told.detail(error_details_pb2.ErrorInfo) for told in (through, direct))
    assert ours.reason == theirs.reason == f"ERROR_REASON_{reason.name}"
    assert named(ours.metadata) == named(theirs.metadata, "far/")
    assert through.detail(error_details_pb2.RetryInfo) == direct.detail(error_details_pb2.RetryInfo)
    assert through.detail(error_details_pb2.BadRequest) == direct.detail(error_details_pb2.BadRequest)
    ours, theirs = (told.detail(image_pb2.GenerationFailure) for told in (through, direct))
    assert attempts(ours) == attempts(theirs, "far/")
    assert ours.usage == theirs.usage
    assert [(one.index, one.reason, one.billed) for one in ours.failures] == [
        (one.index, one.reason, one.billed) for one in theirs.failures
    ]


async def test_moderation_after_a_preview_is_the_same(servers: Chain) -> None:
    """The preview was shown, and the stage is told."""
    direct, through = await both(servers, drawing, "sandbox/moderated-after-preview")

    assert through.order == direct.order
    ours, theirs = (told.detail(error_details_pb2.ErrorInfo) for told in (through, direct))
    assert ours.metadata["stage"] == theirs.metadata["stage"] == "output"
    assert named(ours.metadata) == named(theirs.metadata, "far/")


async def test_params_reach_the_far_provider_unmodified(servers: Chain) -> None:
    """Under its name there, inside of those of its server; a wrong one is named by its place in the request."""
    same_result(*await both(servers, drawing, "sandbox/scene", given={"revised_prompt": "a boat, at dusk"}))

    _, wrong = await both(servers, drawing, "sandbox/scene", given={"fail_attempts": "two"})
    assert wrong.error is not None
    assert wrong.error.code() is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = wrong.detail(error_details_pb2.BadRequest).field_violations
    assert violation.field == "params.far.sandbox.fail_attempts"

"""Generate and Edit on plain stubs with default options."""

from collections.abc import AsyncGenerator

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.config import ServerTable
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, ProviderEvent, Report
from imagegen_server.domain.result import Usage
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call
from pydantic import ByteSize

from tests.support.calls import edit, generate, refusal, sha256
from tests.support.pictures import noisy_png, png
from tests.support.provider import ScriptedProvider
from tests.support.server import Running, as_config, running_server

LARGE = noisy_png(1200, 1000)


async def draw_large(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Yield pictures of 3.6 MB."""
    for index in range(task.count):
        yield Complete(index, LARGE)


async def read(server: Running, image_id: str, offset: int = 0) -> tuple[image_pb2.Image, bytes]:
    """Read an image by its id."""
    request = image_service_pb2.ReadImageRequest(image_id=image_id, offset=offset)
    parts = [part async for part in server.images.ReadImage(request)]
    return parts[0].image, b"".join(part.data for part in parts)


async def test_a_small_picture_travels_inline_with_its_facts() -> None:
    """A unary answer holds the bytes, and type, size and hash that were read from them."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        result = await server.images.Generate(generate())

        image = result.images[0].image
        assert image.data == png(8, 8)
        assert (image.media_type, image.width, image.height) == ("image/png", 8, 8)
        assert (image.size_bytes, image.sha256) == (len(image.data), sha256(image.data))
        assert image.HasField("expire_time")


async def test_ids_are_in_the_initial_metadata_and_in_the_result() -> None:
    """A caller whose call dies still holds the handles."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        call = server.images.Generate(generate())
        early = dict(await call.initial_metadata())

        result = await call
        assert early["imagegen-generation-id"] == result.generation_id
        assert early["imagegen-request-id"] == result.request_id


async def test_what_is_over_the_inline_budget_waits_for_read_image() -> None:
    """Images of more than 3 MiB together leave by id, all of them, and the default client reads them whole."""
    async with running_server(as_config("test", ScriptedProvider(script=draw_large))) as server:
        result = await server.images.Generate(generate(options={"count": 2}))

        assert [image.image.data for image in result.images] == [b"", b""]
        facts, data = await read(server, result.images[1].image.image_id)
        assert data == LARGE
        assert facts == result.images[1].image


async def test_the_inline_budget_can_be_raised_and_is_capped() -> None:
    """inline_limit_bytes lets larger answers through up to the server's own limit, which is said by a warning."""
    table = ServerTable(max_inline_bytes=ByteSize(5_000_000))
    options = [("grpc.max_receive_message_length", 16_000_000)]
    async with running_server(as_config("test", ScriptedProvider(script=draw_large)), server=table) as server:
        async with grpc.aio.insecure_channel(server.address, options=options) as channel:
            stub = type(server.images)(channel)
            one = await stub.Generate(generate(delivery={"inlineLimitBytes": 4_000_000}))
            two = await stub.Generate(generate(options={"count": 2}, delivery={"inlineLimitBytes": 9_000_000}))

        assert one.images[0].image.data == LARGE
        assert not one.warnings
        assert two.images[0].image.data == b""
        assert [(w.field, w.reason) for w in two.warnings] == [
            ("delivery.inline_limit_bytes", image_pb2.WARNING_REASON_ADJUSTED)
        ]


async def test_reference_gives_facts_without_bytes() -> None:
    """REFERENCE keeps a terminal readable; the id hands out the bytes from any offset."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        result = await server.images.Generate(generate(delivery={"mode": "DELIVERY_MODE_REFERENCE"}))

        image = result.images[0].image
        assert image.data == b""
        assert (await read(server, image.image_id))[1] == png(8, 8)
        assert (await read(server, image.image_id, offset=10))[1] == png(8, 8)[10:]
        at_end, nothing = await read(server, image.image_id, offset=image.size_bytes)
        assert (at_end.size_bytes, nothing) == (image.size_bytes, b"")


@pytest.mark.parametrize(
    ("image_id", "code", "reason"),
    [
        ("", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ("nonsense", grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND"),
        ("img_elsewher_0123456789abcdef0123456789abcdef", grpc.StatusCode.FAILED_PRECONDITION, "WRONG_INSTANCE"),
    ],
)
async def test_what_cannot_be_read(image_id: str, code: grpc.StatusCode, reason: str) -> None:
    """Reading what is not there says which of the three it is."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read(server, image_id)

        assert (caught.value.code(), refusal(caught.value).reason) == (code, reason)


async def test_an_offset_past_the_end_is_refused() -> None:
    """An offset beyond the image is a mistake that the caller hears of."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        image = (await server.images.Generate(generate())).images[0].image
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read(server, image.image_id, offset=image.size_bytes + 1)

        assert list(refusal(caught.value).violations) == ["offset"]


async def test_some_images_and_some_failures_are_ok() -> None:
    """Two of three come, the third is told with its reason, and nothing paid is thrown away."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Complete(0, png(8, 8))
        yield Failed(1, ImageError(Reason.CONTENT_FILTERED, "refused", stage="output"))
        yield Complete(2, png(8, 8, shade=9))
        yield Report(Usage(images_generated=2), {"model_version": "7"})

    async with running_server(as_config("test", ScriptedProvider(script=script))) as server:
        result = await server.images.Generate(generate(options={"count": 3}))

        assert [image.index for image in result.images] == [0, 2]
        (failure,) = result.failures
        assert failure.index == 1
        assert failure.metadata["stage"] == "output"
        assert failure.metadata["generation_id"] == result.generation_id
        assert result.usage.images_generated == 2
        assert not result.usage.HasField("cost")
        assert result.metadata["test"]["model_version"] == "7"
        (attempt,) = result.attempts
        assert (attempt.outcome, attempt.billed) == (image_pb2.ATTEMPT_OUTCOME_ACCEPTED, image_pb2.BILLED_YES)


async def test_more_than_one_request_can_make_is_fanned_out() -> None:
    """Five images of a model that makes four a request are two requests, with other seeds and indices that go on."""
    provider = ScriptedProvider()
    async with running_server(as_config("test", provider)) as server:
        result = await server.images.Generate(generate(options={"count": 5, "seed": "100"}))

        assert [image.index for image in result.images] == [0, 1, 2, 3, 4]
        assert [(task.count, task.options.seed) for task in provider.tasks] == [(4, 100), (1, 104)]
        assert len(result.attempts) == 2


async def test_all_failed_is_an_error_with_what_happened() -> None:
    """No image at all is an error status with the failures, the attempts and the money question."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("req-7")
        raise ImageError(Reason.PROVIDER_ERROR, "it broke", http_status=500, provider_code="oops")
        yield

    async with running_server(as_config("test", ScriptedProvider(script=script))) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate(options={"count": 2}))

        told = refusal(caught.value)
        assert (told.code, told.reason, told.billed) == (grpc.StatusCode.INTERNAL, "PROVIDER_ERROR", "unknown")
        assert told.metadata["provider_code"] == "oops"
        assert told.metadata["provider"] == "test"
        assert told.metadata["model"] == "test/any"
        assert told.failure is not None
        assert [failure.index for failure in told.failure.failures] == [0, 1]
        assert told.failure.attempts[0].provider_request_id == "req-7"
        assert told.metadata["generation_id"] == told.failure.generation_id


async def test_params_reach_the_provider_as_json_values() -> None:
    """Numbers stay whole, nesting and non-ASCII text stay as they are, and foreign params are left alone."""
    provider = ScriptedProvider()
    given = {"style": "vivid", "steps": 30, "cfg": 7.5, "nested": {"list": [1, None, True, "ü"]}}
    async with running_server(as_config("test", provider), as_config("other", ScriptedProvider())) as server:
        result = await server.images.Generate(generate(params={"test": given, "other": {"n": 3}}))

        assert provider.tasks[0].params == given
        assert isinstance(provider.tasks[0].params["steps"], int)
        assert not result.warnings


async def test_an_edit_hands_images_and_mask_over() -> None:
    """Edit takes the same request fields; images arrive byte for byte with their facts."""
    provider = ScriptedProvider()
    mask = png(8, 8, shade=255)
    async with running_server(as_config("test", provider)) as server:
        result = await server.images.Edit(edit(png(8, 8), png(4, 4), mask=mask))

        (task,) = provider.tasks
        assert [image.data for image in task.images] == [png(8, 8), png(4, 4)]
        assert task.mask is not None
        assert task.mask.data == mask
        assert [w.field for w in result.warnings] == ["input.mask"]


async def test_an_alias_stands_for_its_model() -> None:
    """A name without a slash is looked up in the configuration; the result names the model itself."""
    async with running_server(as_config("test", ScriptedProvider()), aliases={"draft": ["test/fast"]}) as server:
        assert (await server.images.Generate(generate("draft"))).model == "test/fast"


async def test_strict_refuses_before_anything_is_spent() -> None:
    """With strict, what would be a warning is an error by field, a field of a newer client included."""
    provider = ScriptedProvider()
    request = generate(options={"background": "transparent"}, strict=True)
    request.options.MergeFromString(b"\xd2\x02\x01x")  # field 42, unknown to this server
    async with running_server(as_config("test", provider)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(request)

        told = refusal(caught.value)
        assert (told.reason, told.billed) == ("OPTION_NOT_SUPPORTED", "no")
        assert sorted(told.violations) == ["options.#42", "options.background"]
        assert provider.tasks == []

"""What is said of an image, and how its bytes travel."""

import io
from collections.abc import AsyncGenerator

import pytest
from imagegen.v1 import image_pb2, image_service_pb2, image_stream_pb2
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call
from PIL import Image

from tests.parity.service import WIRE, change, draw, openai_service, recorded, watch_recorded
from tests.support.calls import edit, generate, watch
from tests.support.pictures import noisy_png, png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server

BESIDE_THE_BYTES = 1024
"""More than the facts of one small result take."""


@pytest.mark.parametrize("name", ["json_png", "json_webp", "json_wrong_output_format", "json_without_output_format"])
async def test_the_media_type_is_read_from_the_bytes(name: str) -> None:
    """A picture is called what it is, whatever the vendor calls it or leaves unsaid."""
    async with openai_service() as service:
        service.fake.answer_next(recorded(name))
        result = await service.server.images.Generate(draw())

    image = result.images[0].image
    assert [image.media_type] == WIRE[name].expect["media_types"]
    assert image.media_type == Image.open(io.BytesIO(image.data)).get_format_mimetype()


async def test_the_media_type_of_a_preview_is_read_from_its_bytes() -> None:
    """Previews are called what they are as well."""
    async with openai_service() as service:
        seen = await watch_recorded(service, "stream_jpeg")

    opened = [event.preview.image.media_type for event in seen.events if event.HasField("preview")]
    assert opened == ["image/jpeg"]


async def test_the_declared_type_of_an_input_is_a_hint() -> None:
    """A PNG that its sender calls a JPEG goes to the vendor as the PNG that it is."""
    request = change(png(16, 16))
    request.input.images[0].media_type = "image/jpeg"
    async with openai_service() as service:
        await service.server.images.Edit(request)
        (sent,) = service.fake.requests

    assert [part.content_type for part in sent.files] == ["image/png"]


async def test_width_and_height_are_read_from_the_bytes() -> None:
    """Facts are those of the picture that came, not of the size that was asked for or told."""
    async with openai_service() as service:
        service.fake.answer_next(recorded("json_webp"))
        result = await service.server.images.Generate(draw())

    assert result.images[0].metadata["openai"]["size"] == "1536x864"
    assert (result.images[0].image.width, result.images[0].image.height) == (16, 16)


async def test_an_unknown_cost_is_absent() -> None:
    """A price that nobody told is not there, rather than 0; so are tokens that the vendor did not count."""
    async with openai_service() as service:
        told = await service.server.images.Generate(draw())
        service.fake.answer_next(recorded("json_without_output_format"))
        silent = await service.server.images.Generate(draw())

    assert told.usage.HasField("output_tokens")
    assert not told.usage.HasField("cost")
    assert not silent.usage.HasField("cost")
    assert not silent.usage.HasField("output_tokens")


async def test_metadata_stands_under_the_providers_name_everywhere() -> None:
    """What the vendor says of previews and images, in both forms, is found under its name and nowhere else."""
    async with openai_service() as service:
        seen = await watch_recorded(service, "stream_two_partials")
        whole = await service.server.images.Generate(draw())

    places = [event.preview.metadata for event in seen.events if event.HasField("preview")]
    places += [event.complete.metadata for event in seen.events if event.HasField("complete")]
    places += [image.metadata for result in (seen.result, whole) for image in result.images]
    assert len(places) == 5
    assert all(list(place) == ["openai"] for place in places)


async def test_images_travel_as_bytes() -> None:
    """A picture is the same byte for byte in every form, and a message is hardly longer than its picture."""
    drawn, given = noisy_png(200, 200), noisy_png(200, 200, seed=2)

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Complete(0, drawn)

    provider = ScriptedProvider(script=script)
    async with running_server(as_config("test", provider)) as server:
        whole = await server.images.Generate(generate())
        seen = await watch(server.images.StreamGenerate(generate()))
        request = edit(given)
        await server.images.Edit(request)

    assert whole.images[0].image.data == drawn == seen.images[0]
    assert provider.tasks[-1].images[0].data == given
    assert whole.ByteSize() < len(drawn) + BESIDE_THE_BYTES
    assert sum(event.ByteSize() for event in seen.events) < len(drawn) + 2 * BESIDE_THE_BYTES
    assert request.ByteSize() < len(given) + BESIDE_THE_BYTES


async def test_an_input_reaches_the_provider_as_bytes() -> None:
    """The picture of an edit goes to the vendor as it is, neither encoded nor redrawn."""
    given = noisy_png(64, 64)
    async with openai_service() as service:
        await service.server.images.Edit(change(given))
        (sent,) = service.fake.requests

    assert [part.data for part in sent.files] == [given]
    assert len(sent.body) < len(given) + 2 * BESIDE_THE_BYTES


def test_no_field_of_the_api_carries_an_image_as_text() -> None:
    """Every field that holds the bytes of a picture is of the type bytes."""
    for message in (
        image_pb2.Image,
        image_pb2.ImageSource,
        image_stream_pb2.ImageChunk,
        image_service_pb2.ReadImageResponse,
        image_service_pb2.UploadImageRequest,
    ):
        field = message.DESCRIPTOR.fields_by_name["data"]
        assert field.type == field.TYPE_BYTES


async def test_a_finished_image_is_not_lost_to_what_comes_after_it() -> None:
    """A connection that breaks, or an adapter that fails, after the picture has come changes nothing about it."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Complete(0, png(8, 8))
        raise RuntimeError

    async with openai_service() as service:
        broken_off = await watch_recorded(service, "stream_broken_off_after_completed")
    async with running_server(as_config("test", ScriptedProvider(script=script))) as server:
        faulty = await server.images.Generate(generate())

    assert list(broken_off.images) == [0]
    assert [image.image.data for image in faulty.images] == [png(8, 8)]

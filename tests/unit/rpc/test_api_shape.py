"""Messages that are used together have fields that fit together."""

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from imagegen.v1 import image_pb2, image_service_pb2, image_stream_pb2
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.generation.log import CHUNK_BYTES

LAST = 15


def shape(field: FieldDescriptor) -> tuple[object, ...]:
    """Describe a field as its wire and its users see it."""
    kind = field.message_type or field.enum_type
    return field.name, field.number, field.type, field.is_repeated, field.has_presence, kind and kind.name[-12:]


def test_generate_and_edit_share_their_fields() -> None:
    """One word changed in a request turns one into the other, but for the input."""
    generate, edit = (
        [shape(field) for field in message.DESCRIPTOR.fields if field.name != "input"]
        for message in (image_service_pb2.GenerateRequest, image_service_pb2.EditRequest)
    )

    assert [field[:5] for field in generate] == [field[:5] for field in edit]


@pytest.mark.parametrize("method", ["Generate", "Edit"])
def test_a_unary_call_and_its_stream_twin_share_the_request(method: str) -> None:
    """Changing the method alone turns on previews."""
    methods = image_service_pb2.DESCRIPTOR.services_by_name["ImageService"].methods_by_name

    assert methods[method].input_type is methods[f"Stream{method}"].input_type
    assert methods[method].output_type is image_pb2.ImageResult.DESCRIPTOR
    assert methods[f"Stream{method}"].output_type is image_stream_pb2.ImageStreamEvent.DESCRIPTOR


@pytest.mark.parametrize(
    "message",
    [
        image_pb2.Image.DESCRIPTOR,
        image_pb2.ImageSource.DESCRIPTOR,
        image_stream_pb2.ImageChunk.DESCRIPTOR,
        image_service_pb2.ReadImageResponse.DESCRIPTOR,
        image_service_pb2.UploadImageRequest.DESCRIPTOR,
    ],
    ids=lambda message: message.name,
)
def test_bytes_stand_last(message: Descriptor) -> None:
    """JSON printers show the facts before the base64."""
    assert message.fields[-1].name == "data"
    assert message.fields[-1].number == LAST


def test_the_largest_image_fits_its_fields() -> None:
    """64 MiB and its number of chunks can be said in 32 bits, for 16 images and their previews."""
    chunks = -(-MAX_IMAGE_BYTES // CHUNK_BYTES)

    assert MAX_IMAGE_BYTES < 2**32
    assert 16 * 17 * (1 + chunks) < 2**32

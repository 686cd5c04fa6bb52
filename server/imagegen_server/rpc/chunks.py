"""From the log of a generation to the messages of a stream, image bytes cut into chunks."""

import time
from collections.abc import AsyncGenerator, Iterator

from google.protobuf.descriptor import FieldDescriptor
from imagegen.v1 import image_pb2, image_stream_pb2

from imagegen_server.domain.events import (
    Broken,
    Finished,
    ImageFailed,
    ImageFinished,
    PreviewShown,
    Progress,
    Started,
)
from imagegen_server.generation.generation import BrokenGeneration, Generation
from imagegen_server.generation.log import CHUNK_BYTES, Entry, Heartbeat
from imagegen_server.generation.readers import Readers

from .encode import (
    failure_message,
    generated_message,
    preview_message,
    progress_message,
    result_message,
    started_message,
)

Event = image_stream_pb2.ImageStreamEvent

_LENGTH_DELIMITED = 2
"""Wire type of bytes and messages: https://protobuf.dev/programming-guides/encoding/"""


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _tag(field: FieldDescriptor) -> bytes:
    return _varint(field.number << 3 | _LENGTH_DELIMITED)


_CHUNK_TAG = _tag(Event.DESCRIPTOR.fields_by_name["chunk"])
_DATA_TAG = _tag(image_stream_pb2.ImageChunk.DESCRIPTOR.fields_by_name["data"])


def pieces(data: bytes, offset: int = 0) -> Iterator[tuple[int, memoryview]]:
    """Cut data from `offset` on into chunks, each with its own offset. Nothing is copied."""
    view = memoryview(data)
    for start in range(offset, len(data), CHUNK_BYTES):
        yield start, view[start : start + CHUNK_BYTES]


def chunk_event(sequence: int, index: int, preview_number: int, offset: int, data: memoryview) -> bytes:
    """Write an ImageStreamEvent with a chunk as protobuf writes it, but copy the data once instead of three times.

    Nearly all bytes that the server sends go through here. The rest of the message is written by protobuf itself.
    """
    event = Event(sequence=sequence).SerializeToString()
    facts = image_stream_pb2.ImageChunk(index=index, preview_number=preview_number, offset=offset).SerializeToString()
    head = facts + _DATA_TAG + _varint(len(data))
    return b"".join((event, _CHUNK_TAG, _varint(len(head) + len(data)), head, data))


async def stream_events(
    readers: Readers, generation: Generation, *, after: int, mode: image_pb2.DeliveryMode.ValueType, heartbeat: float
) -> AsyncGenerator[Event | bytes, None]:
    """Yield the messages of a reader who has seen everything up to sequence `after`.

    :raises BrokenGeneration: the generation ended without an image
    """
    with_bytes = mode != image_pb2.DELIVERY_MODE_REFERENCE
    async for entry in generation.log.read(after, heartbeat):
        if isinstance(entry, Heartbeat):
            progress = progress_message(generation.last_progress, time.monotonic() - generation.start_time)
            yield Event(sequence=entry.sequence, progress=progress)
            continue
        if isinstance(entry.event, Broken):
            readers.told(generation.id)
        opening = _opening(generation, entry)
        if entry.first > after or entry.terminal:
            yield opening
        if entry.terminal:
            readers.told(generation.id)
        if with_bytes:
            async for message in _chunks(readers, generation, entry, after):
                yield message


def _opening(generation: Generation, entry: Entry) -> Event:
    match entry.event:
        case Started():
            return Event(sequence=entry.first, started=started_message(entry.event))
        case Progress():
            elapsed = entry.time - generation.start_time
            return Event(sequence=entry.first, progress=progress_message(entry.event, elapsed))
        case PreviewShown():
            return Event(sequence=entry.first, preview=preview_message(entry.event))
        case ImageFinished(generated):
            return Event(sequence=entry.first, complete=generated_message(generated))
        case ImageFailed(failure):
            return Event(sequence=entry.first, failure=failure_message(failure, generation.id, generation.request_id))
        case Finished(result):
            return Event(sequence=entry.first, result=result_message(result))
        case Broken(failure, error):
            raise BrokenGeneration(error, failure)


async def _chunks(readers: Readers, generation: Generation, entry: Entry, after: int) -> AsyncGenerator[bytes, None]:
    match entry.event:
        case PreviewShown(index, number, _, data):
            pass
        case ImageFinished(generated, data):
            index, number = generated.index, 0
        case _:
            return
    for offset, piece in pieces(data):
        sequence = entry.first + 1 + offset // CHUNK_BYTES
        if sequence <= after:
            continue
        if generation.log.superseded(entry):
            return
        yield chunk_event(sequence, index, number, offset, piece)
    if isinstance(entry.event, ImageFinished):
        readers.delivered(entry.event.generated.image.image_id, generation)

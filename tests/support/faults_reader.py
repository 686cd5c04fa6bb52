"""A client that is made to be killed: it reads some events of a stream, keeps them in a file, and then hangs.

Run as a script: faults_reader.py ADDRESS REQUEST_ID COUNT FILE
"""

import signal
import sys
from pathlib import Path

import grpc
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc, image_stream_pb2

_LENGTH_BYTES = 4


def read_events(file: Path) -> list[image_stream_pb2.ImageStreamEvent]:
    """Read what the killed one has kept."""
    data, events = file.read_bytes(), []
    while data:
        end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
        events.append(image_stream_pb2.ImageStreamEvent.FromString(data[_LENGTH_BYTES:end]))
        data = data[end:]
    return events


def main(address: str, request_id: str, count: int, file: Path) -> None:
    """Read so many events, say so, and wait for the end."""
    request = image_service_pb2.GenerateRequest(model="test/any", request_id=request_id)
    request.input.prompt = "a boat"
    request.options.count = 2
    request.options.preview_count = 1
    with grpc.insecure_channel(address) as channel, file.open("wb") as kept:
        stream = image_service_pb2_grpc.ImageServiceStub(channel).StreamGenerate(request)
        for number, event in enumerate(stream, 1):
            message = event.SerializeToString()
            kept.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
            if number == count:
                kept.flush()
                print("read", flush=True)  # noqa: T201 - to whoever kills it
                signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))

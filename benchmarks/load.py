"""The calls of the benchmark: one verified by a client of our own, and many of them by h2load for all arms alike."""

import hashlib
import http.client
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import grpc
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc
from pictures import Size, png
from processes import Cores, Program, pinned

UNARY, STREAM = "unary", "stream"
FORMS = (UNARY, STREAM)
_METHODS = {UNARY: "Generate", STREAM: "StreamGenerate"}
_MOST_CONNECTIONS = 8
_WINDOW_BITS, _CONNECTION_WINDOW_BITS = 24, 30
"""Flow control of the load generator, so wide that no server waits for it."""

_LOAD_SECONDS = 120.0
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))


@dataclass(frozen=True, slots=True)
class Load:
    """What h2load saw: requests a second, and the median and longest time of a request in milliseconds.

    `cpu_ms` is h2load's own processor time for one request.
    """

    per_second: float
    median_ms: float
    longest_ms: float
    cpu_ms: float


def require_h2load() -> str:
    """Find h2load and tell its version; ends the program if it is missing."""
    path = shutil.which("h2load")
    if path is None:
        sys.exit("the benchmark needs h2load. Run: sudo apt-get install -y nghttp2-client")
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def request(size: Size, previews: int = 0) -> image_service_pb2.GenerateRequest:
    """Make the request that all arms get."""
    return image_service_pb2.GenerateRequest(
        model="openai/gpt-image-2",
        input=image_pb2.ImageInput(prompt=size.prompt),
        options=image_pb2.ImageOptions(preview_count=previews),
    )


def verify(address: str, size: Size, form: str) -> None:
    """Make one call and compare what came with the picture, byte by byte; raises AssertionError."""
    with grpc.insecure_channel(address, options=_OPTIONS) as channel:
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        if form == UNARY:
            result = stub.Generate(request(size), timeout=60)
            [generated] = result.images
            data = generated.image.data
        else:
            events = list(stub.StreamGenerate(request(size), timeout=60))
            kinds = [event.WhichOneof("event") for event in events]
            assert (kinds[0], kinds[-1]) == ("started", "result"), kinds
            [generated] = [event.complete for event in events if event.HasField("complete")]
            data = b"".join(event.chunk.data for event in events if event.HasField("chunk"))
    assert data == png(size), f"{len(data)} bytes came that are not the picture"
    assert generated.image.sha256 == hashlib.sha256(data).hexdigest()


def run_load(
    server: Program,
    size: Size,
    form: str,
    *,
    requests: int,
    concurrency: int,
    cores: Cores,
    previews: int = 0,
    most_connections: int = _MOST_CONNECTIONS,
) -> Load:
    """Send `requests` calls, `concurrency` at a time over at most so many connections.

    Ends the program unless every call was answered with as many bytes as the picture has at least: an error of gRPC is
    an HTTP 200 without them.
    """
    connections = min(concurrency, most_connections)
    message = request(size, previews).SerializeToString()
    used = _children_seconds()
    with tempfile.TemporaryDirectory() as directory:
        body, log = Path(directory, "body"), Path(directory, "log")
        body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        command = ["h2load", f"-n{requests}", f"-c{connections}", f"-m{concurrency // connections}"]
        command += [f"-w{_WINDOW_BITS}", f"-W{_CONNECTION_WINDOW_BITS}", f"--log-file={log}", f"--data={body}"]
        command += ["-Hte: trailers", "-Hcontent-type: application/grpc"]
        command.append(f"http://{server.address}/imagegen.v1.ImageService/{_METHODS[form]}")
        try:
            with pinned(cores.load):
                done = subprocess.run(command, capture_output=True, text=True, timeout=_LOAD_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            sys.exit(f"{server.name}: {requests} calls did not end within {_LOAD_SECONDS:g} s\n{server.log_end()}")
        lines = log.read_text(encoding="ascii").splitlines()
    succeeded, data = _number(r"(\d+) succeeded", done.stdout), _number(r"headers .*? \((\d+)\) data", done.stdout)
    if succeeded != requests or data < requests * len(png(size)):
        sys.exit(f"{server.name}: not every call gave a picture\n{done.stdout}\n{server.log_end()}")
    milliseconds = [int(line.split("\t")[2]) / 1000 for line in lines]
    return Load(
        _number(r"([\d.]+) req/s", done.stdout),
        statistics.median(milliseconds),
        max(milliseconds),
        (_children_seconds() - used) * 1000 / requests,
    )


def asked_for(upstream: Program) -> int:
    """Tell how many pictures the upstream was asked for so far."""
    connection = http.client.HTTPConnection(upstream.address, timeout=10)
    try:
        connection.request("GET", "/count")
        return int(connection.getresponse().read())
    finally:
        connection.close()


def _children_seconds() -> float:
    """Processor time of programs that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1])

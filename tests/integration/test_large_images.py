"""Images as large as they come, through clients that left every default alone."""

import asyncio
import gc
import subprocess
import sys
from types import ModuleType

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc
from imagegen_server.domain.events import Complete

from tests.support.calls import generate, refusal, sha256, watch
from tests.support.generation import yielding
from tests.support.pictures import noisy_png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, nothing_left, running_server

LARGEST = 64 * 1024 * 1024

# Nothing but grpc and the generated stubs, every default left alone.
PLAIN_CLIENT = """
import hashlib, sys, grpc
from google.protobuf.struct_pb2 import Struct
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc

params = Struct()
params.update({"size_bytes": int(sys.argv[2])})
request = image_service_pb2.GenerateRequest(
    model="sandbox/bytes", input=image_pb2.ImageInput(prompt="large"), params={"sandbox": params}
)
stub = image_service_pb2_grpc.ImageServiceStub(grpc.insecure_channel(sys.argv[1]))
data, told = bytearray(), None
for event in stub.StreamGenerate(request):
    if event.WhichOneof("event") == "chunk" and event.chunk.preview_number == 0:
        data += event.chunk.data
    if event.WhichOneof("event") == "result":
        told = event.result.images[0].image
assert len(data) == told.size_bytes == int(sys.argv[2]), (len(data), told)
assert hashlib.sha256(data).hexdigest() == told.sha256
image = b"".join(part.data for part in stub.ReadImage(image_service_pb2.ReadImageRequest(image_id=told.image_id)))
assert image == data
print("same")
"""


async def test_a_plain_client_with_default_options_gets_64_mib() -> None:
    """Grpc and the stubs alone, no option set: the largest image arrives by stream and by ReadImage, byte for byte."""
    async with running_server(sandbox=True) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PLAIN_CLIENT, server.address, str(LARGEST), stdout=subprocess.PIPE
        )
        stdout, _ = await process.communicate()

        assert (process.returncode, stdout.decode().strip()) == (0, "same")


async def test_a_large_unary_answer_never_breaks_a_default_client() -> None:
    """A unary call for 16 MiB succeeds under the default limit of 4 MiB, by id."""
    async with running_server(sandbox=True) as server:
        request = generate("sandbox/bytes", params={"sandbox": {"size_bytes": LARGEST // 4}})
        image = (await server.images.Generate(request)).images[0].image

        assert (image.size_bytes, image.data) == (LARGEST // 4, b"")


async def test_a_raised_inline_limit_reaches_a_client_that_raised_its_own() -> None:
    """A client that takes large messages and says so gets the bytes in the answer."""
    async with running_server(sandbox=True) as server:
        options = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(server.address, options=options) as channel:
            request = generate(
                "sandbox/bytes",
                params={"sandbox": {"size_bytes": LARGEST // 4}},
                delivery={"inlineLimitBytes": LARGEST},
            )
            image = (await image_service_pb2_grpc.ImageServiceStub(channel).Generate(request)).images[0].image

        assert (len(image.data), sha256(image.data)) == (LARGEST // 4, image.sha256)


async def test_an_edit_of_a_large_input_is_taken() -> None:
    """An input image of tens of megabytes passes the server's request limit."""
    async with running_server(sandbox=True) as server:
        made = await watch(
            server.images.StreamGenerate(generate("sandbox/bytes", params={"sandbox": {"size_bytes": 20_000_000}}))
        )
        request = image_service_pb2.EditRequest(
            model="sandbox/scene",
            input=image_pb2.ImageEditInput(prompt="night", images=[image_pb2.ImageSource(data=made.images[0])]),
        )

        assert (await watch(server.images.StreamEdit(request))).result.images


async def test_more_than_64_mib_cannot_be_asked_of_the_sandbox() -> None:
    """A request cannot make the sandbox exceed the limit of one image."""
    async with running_server(sandbox=True) as server:
        request = generate("sandbox/bytes", params={"sandbox": {"size_bytes": LARGEST + 1}})
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(request)

        assert list(refusal(caught.value).violations) == ["params.sandbox.size_bytes"]


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answered_call_leaves_no_image_to_the_collector(streaming: bool) -> None:
    """Bytes go when their last reader and the store let go, not when the garbage collector happens to come by."""
    picture = noisy_png(64, 64)
    provider = ScriptedProvider(yielding(Complete(0, picture)))
    async with running_server(as_config("test", provider)) as server:
        request = generate("test/any")
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            # What the last call held may still be in use; what the first ones held is not.
            for _ in range(3):
                if streaming:
                    async for _ in server.images.StreamGenerate(request):
                        pass
                else:
                    await server.images.Generate(request)
            await nothing_left(server)
            gc.collect()
            assert not [item for item in _held_by(gc.garbage) if isinstance(item, bytes) and len(item) >= len(picture)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()


def _held_by(garbage: list[object]) -> list[object]:
    """List what garbage holds, through containers that the collector does not track by themselves."""
    found, new = list(garbage), list(garbage)
    seen = {id(item) for item in found}
    while new:
        new = [
            item for item in gc.get_referents(*new) if id(item) not in seen and not isinstance(item, type | ModuleType)
        ]
        new = [item for item in new if not gc.is_tracked(item)]
        seen |= {id(item) for item in new}
        found += new
    return found

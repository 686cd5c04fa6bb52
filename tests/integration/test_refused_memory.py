"""A call that fails holds nothing of its request: bytes go at once, not when the garbage collector comes by."""

import gc

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Preview

from tests.support.calls import watch
from tests.support.generation import yielding
from tests.support.pictures import noisy_png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, nothing_left, running_server


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("count", [0, 1], ids=["refused", "failed"])
async def test_a_failed_edit_leaves_no_image_to_the_collector(streaming: bool, count: int) -> None:
    """Neither the request, nor the pictures in it, nor the previews that were shown, hang on the error."""
    picture = noisy_png(64, 64)
    provider = ScriptedProvider(yielding(Preview(0, picture), ImageError(Reason.PROVIDER_ERROR, "no")))
    request = image_service_pb2.EditRequest(
        model="test/any",
        input=image_pb2.ImageEditInput(prompt="night", images=[image_pb2.ImageSource(data=picture)]),
        options=image_pb2.ImageOptions(count=count),
    )
    async with running_server(as_config("test", provider)) as server:
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(3):
                with pytest.raises(grpc.aio.AioRpcError):
                    await (watch(server.images.StreamEdit(request)) if streaming else server.images.Edit(request))
            await nothing_left(server)
            gc.collect()
            names = {frame.f_code.co_name for frame in gc.garbage if hasattr(frame, "f_code")}
            assert not names & {"_unary", "_stream", "_generation", "open", "plan"}
            held = [item for item in gc.get_referents(*gc.garbage) if isinstance(item, bytes)]
            assert not [item for item in held if len(item) >= len(picture)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

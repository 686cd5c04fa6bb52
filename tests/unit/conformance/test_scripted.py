"""The scripted server answers as its script says, and notices when it is not asked so."""

from typing import Any

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc

from tests.conformance.scripted import ScriptedServer, scripted_server

WISH = image_service_pb2.GenerateRequest(model="m/x", input=image_pb2.ImageInput(prompt="p"))
FAILING = {"method": "Generate", "status": {"code": 8, "message": "busy", "trailers": {"imagegen-billed": "no"}}}


async def ask(script: ScriptedServer) -> grpc.aio.AioRpcError | None:
    """Call Generate once; how it failed."""
    async with grpc.aio.insecure_channel(script.address) as channel:
        try:
            await image_service_pb2_grpc.ImageServiceStub(channel).Generate(WISH, metadata=(("x-a", "1"),))
        except grpc.aio.AioRpcError as error:
            return error
    return None


async def test_it_answers_in_order() -> None:
    """First a failure with its trailers, then a message; all was asked for."""
    result = {"method": "Generate", "messages": [{"result": {"model": "m/x"}}]}
    async with scripted_server([FAILING, result]) as script:
        first, second = await ask(script), await ask(script)

        assert first is not None
        assert first.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(first.trailing_metadata() or ())["imagegen-billed"] == "no"
        assert second is None
        assert await script.unplayed() == []
        assert script.problems == []


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ({**FAILING, "method": "Edit"}, "call 0 was Generate; the script has Edit"),
        ({**FAILING, "wantGenerate": {"model": "m/y"}}, "call 0 (Generate): request.model is 'm/x'"),
        ({**FAILING, "wantMetadata": {"x-a": "2"}}, "call 0 (Generate): metadata.x-a is '1'"),
    ],
)
async def test_another_call_is_a_problem(reply: dict[str, Any], problem: str) -> None:
    """Another method, another request, other metadata."""
    async with scripted_server([reply]) as script:
        await ask(script)

        (told,) = script.problems
        assert told.startswith(problem)


async def test_one_call_too_many_is_a_problem() -> None:
    """What is not in the script is named."""
    async with scripted_server([FAILING]) as script:
        await ask(script)
        await ask(script)

        assert script.problems == ["call 1 was Generate; the script has no more"]


async def test_a_call_that_was_not_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies that nobody asked for are named, after a moment."""
    monkeypatch.setattr("tests.conformance.scripted._PATIENCE", 0.05)
    async with scripted_server([FAILING, {"method": "Cancel"}]) as script:
        await ask(script)

        assert await script.unplayed() == ["Cancel was not called"]

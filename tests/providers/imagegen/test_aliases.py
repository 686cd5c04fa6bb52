"""Aliases of the other server: which model it was."""

from imagegen.v1 import image_pb2, image_service_pb2

from tests.support.imagegen_provider import far_at
from tests.support.imagegen_told import Told, hear
from tests.support.server import running_server

FAR_ALIASES = {"draft": ["sandbox/fail-rate-limited", "sandbox/scene"]}
NEAR_ALIASES = {"best": ["far/draft"]}


async def drawn(model: str) -> Told:
    """Draw a small picture."""
    size = image_pb2.PixelSize(width=32, height=32)
    request = image_service_pb2.GenerateRequest(
        model=model, input=image_pb2.ImageInput(prompt="a boat"), options=image_pb2.ImageOptions(size=size)
    )
    async with (
        running_server(sandbox=True, aliases=FAR_ALIASES) as far,
        running_server(far_at(far.address), aliases=NEAR_ALIASES) as near,
    ):
        return await hear(near, request)


async def test_the_result_names_the_model_that_made_it() -> None:
    """Of an alias there, also through one here: the one that was tried after the first had failed."""
    for model in ("far/draft", "best"):
        told = await drawn(model)

        assert told.result.model == "far/sandbox/scene"
        assert [one.model for one in told.result.attempts] == ["far/sandbox/fail-rate-limited", "far/sandbox/scene"]
        assert told.of("started")[0].model == "far/draft"


async def test_a_model_that_was_asked_for_by_its_name_is_named_so() -> None:
    """It is the same."""
    assert (await drawn("far/sandbox/scene")).result.model == "far/sandbox/scene"

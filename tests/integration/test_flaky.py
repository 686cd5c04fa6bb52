"""A provider that fails once: the server asks again by itself, with nothing configured."""

from imagegen.v1 import error_reason_pb2, image_pb2, image_stream_pb2
from imagegen_server.config import ProviderConfig
from imagegen_server.providers.sandbox import PROVIDER as SANDBOX

from tests.support.calls import generate, watch
from tests.support.server import running_server

SMALL = {"size": {"width": 64, "height": 48}}


async def test_a_flaky_provider_is_asked_again() -> None:
    """The picture comes; its result tells of both attempts, and the stream that the server tried again."""
    async with running_server(ProviderConfig("sandbox", SANDBOX, SANDBOX.settings(), 600.0)) as server:
        seen = await watch(server.images.StreamGenerate(generate("sandbox/flaky", options=SMALL)))
    progress = [event.progress for event in seen.events if event.HasField("progress")]
    retrying = [told for told in progress if told.phase == image_stream_pb2.PHASE_RETRYING]
    first, second = seen.result.attempts

    assert len(seen.result.images) == 1
    assert list(seen.images) == [0]
    assert "PROVIDER_UNAVAILABLE" in retrying[0].message
    assert first.reason == error_reason_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
    assert first.outcome == image_pb2.ATTEMPT_OUTCOME_REJECTED
    assert second.reason == error_reason_pb2.ERROR_REASON_UNSPECIFIED
    assert second.outcome == image_pb2.ATTEMPT_OUTCOME_ACCEPTED

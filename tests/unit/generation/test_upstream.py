"""What all requests to one provider share."""

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.fair_queue import QueueSettings
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import Upstream, UpstreamSettings


async def test_it_is_made_from_its_settings() -> None:
    """Keys, attempts and slots are those that were set."""
    keys = (ProviderKey(Secret("a"), 1e-9), ProviderKey(Secret("b"), 1e9))
    upstream = Upstream(UpstreamSettings(keys, "weighted", RetrySettings(max_attempts=7), QueueSettings(concurrency=1)))

    assert upstream.keys is not None
    assert {upstream.keys.choose().secret.reveal() for _ in range(20)} == {"b"}
    assert upstream.retry.max_attempts == 7
    async with upstream.queue.slot("caller", lambda _: None, 1.0):
        assert (upstream.queue.running, upstream.queue.waiting) == (1, 0)


def test_without_keys_there_is_no_ring() -> None:
    """The provider needs none."""
    assert Upstream(UpstreamSettings()).keys is None

"""How long Redis is waited for."""

from imagegen_server.generation.runner import ARRIVAL_SECONDS
from imagegen_server.store.redis.settings import BYTES_SECONDS, COMMAND_SECONDS


def test_redis_is_given_up_before_an_image_is() -> None:
    """An image that Redis does not take is in this process's keeping before its generation, stopped, lets it go."""
    assert BYTES_SECONDS + 2 * COMMAND_SECONDS < ARRIVAL_SECONDS

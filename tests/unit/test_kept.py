"""The store that the settings ask for."""

from typing import Any

import pytest
from imagegen_server.config import Config, ServerTable, StoreTable
from imagegen_server.kept import Kept
from structlog.testing import capture_logs


@pytest.mark.parametrize(
    ("url", "endpoint", "hosts"),
    [
        ("memory://", None, []),
        ("redis://127.0.0.1:1", None, []),
        ("redis://[::1]:1", None, []),
        ("unix:///nowhere", None, []),
        ("rediss://redis.invalid:1", None, []),
        ("redis://redis.invalid:1", None, ["redis.invalid"]),
        ("redis://redis.invalid:1", "http://127.0.0.1:1", ["redis.invalid"]),
        ("redis://localhost:1", "http://storage.invalid:1", ["storage.invalid"]),
        ("redis://redis.invalid:1", "http://storage.invalid:1", ["redis.invalid", "storage.invalid"]),
        ("redis://redis.invalid:1", "https://storage.invalid:1", ["redis.invalid"]),
    ],
)
def test_machines_that_get_pictures_in_clear_text_are_known(url: str, endpoint: str | None, hosts: list[str]) -> None:
    """By the name of each; none is this one, or reached by TLS."""
    table: dict[str, Any] = {"url": url}
    if endpoint:
        table["bytes"] = {"url": "s3://pictures", "endpoint": endpoint}
    kept = Kept(Config(ServerTable(), StoreTable.model_validate(table), (), {}))

    assert list(kept.in_clear_text) == hosts


async def test_pictures_in_clear_text_are_warned_of_at_the_start() -> None:
    """With the machine that they go to."""
    kept = Kept(Config(ServerTable(), StoreTable(), (), {}))
    assert kept.in_clear_text == ()
    kept.in_clear_text = ["redis.internal"]

    with capture_logs() as lines:
        await kept.start()
    await kept.store.close()

    (line,) = lines
    assert (line["event"], line["log_level"]) == ("insecure: pictures travel unencrypted", "warning")
    assert line["host"] == "redis.internal"

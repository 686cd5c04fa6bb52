"""A server whose images lie in a bucket, from its settings on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from imagegen_server.cli import main
from imagegen_server.config import Config, load_config
from imagegen_server.domain.image import ImageFacts
from imagegen_server.kept import Kept

from tests.support.bucket_server import KEY_ID, REGION, SECRET, BucketServer, bucket_server
from tests.support.settings import write

FACTS = ImageFacts("image/png", 1, 1, alpha=False)


def settings(redis: str, server: BucketServer, bucket: str) -> str:
    """Write what the page of configuration tells."""
    return (
        f'[store]\nurl = "{redis}"\n[store.bytes]\nurl = "s3://{bucket}/of"\nendpoint = "{server.endpoint}"\n'
        f'region = "{REGION}"\naccess_key = {{env = "PICTURES_ID"}}\nsecret_key = {{env = "PICTURES_SECRET"}}\n'
    )


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURES_ID", KEY_ID)
    monkeypatch.setenv("PICTURES_SECRET", SECRET)


def load(folder: Path, text: str) -> Config:
    """Load a file, with no provider."""
    return load_config({}, path=write(folder, text))


async def test_settings_lead_images_into_the_bucket(redis: Callable[[], str], tmp_path: Path) -> None:
    """By the whole way: file, check at the start, put and get."""
    with bucket_server() as server:
        bucket = server.settings().bucket
        kept = Kept(load(tmp_path, settings(redis(), server, bucket)))
        await kept.start()
        image = await kept.store.put("me", b"123", FACTS, "f" * 64, await kept.store.reserve(3))

        assert (await kept.store.get("me", image.image_id))[1] == b"123"
        assert (server.folder / bucket / "of" / image.image_id).read_bytes() == b"123"
        await kept.store.close()


async def test_a_bucket_that_is_not_there_is_said_at_the_start(redis: Callable[[], str], tmp_path: Path) -> None:
    """Nothing is served before."""
    with bucket_server() as server:
        kept = Kept(load(tmp_path, settings(redis(), server, "nobodys")))

        with pytest.raises(OSError, match=r"^store.bytes: s3://nobodys/of cannot be used: .*NoSuchBucket"):
            await kept.start()
        await kept.store.close()


def test_check_config_shows_where_images_lie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key, and without asking the bucket."""
    text = settings("redis://127.0.0.1:1", BucketServer(tmp_path, port=9000), "pictures")

    assert main(["check-config", "--config", str(write(tmp_path, text))]) == 0
    said = capsys.readouterr()
    assert "images = s3://pictures/of at http://127.0.0.1:9000\n" in said.out
    assert SECRET not in said.out + said.err
    assert KEY_ID not in said.out + said.err


def test_a_bucket_beside_the_memory_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would have no effect."""
    text = '[store.bytes]\nurl = "s3://pictures"'

    assert main(["check-config", "--config", str(write(tmp_path, text))]) == 2
    assert "store.bytes: has no effect with memory://" in capsys.readouterr().err

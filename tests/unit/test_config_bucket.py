"""[store.bytes]: where the bucket is, and what is refused, under which key."""

from pathlib import Path
from typing import Any

import pytest
import trustme
from imagegen_server.config.bucket import BucketTable
from imagegen_server.config.values import ConfigError, explain
from pydantic import ValidationError

from tests.support.settings import complaint, keys


def table(**given: Any) -> BucketTable:
    """Read a table."""
    return BucketTable.model_validate({"url": "s3://pictures"} | given)


def refused(**given: Any) -> str:
    """Read a table that is refused; returns what is said."""
    with pytest.raises(ValidationError) as caught:
        table(**given)
    return explain(caught.value, "store.bytes")


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://pictures", "pictures", ""),
        ("s3://pictures/", "pictures", ""),
        ("s3://my.pictures-2/of/imagegen", "my.pictures-2", "of/imagegen"),
        ("s3://pictures/of/", "pictures", "of"),
    ],
)
def test_bucket_and_prefix_stand_in_the_url(url: str, bucket: str, prefix: str) -> None:
    """With a slash at the end or without."""
    read = table(url=url)

    assert (read.bucket, read.prefix) == (bucket, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pictures",
        "gs://pictures",
        "s3://",
        "s3://ab",
        "s3://Pictures",
        "s3://key:secret@pictures",
        "s3://pictures?region=x",
        "s3://pictures//of",
        "s3://pictures/a/../b",
        "s3://pictures/./b",
        "s3://pictures/a b",
        "s3://pictures\n",
    ],
)
def test_what_is_no_bucket_is_refused(url: str) -> None:
    """Without repeating it: it may hold a key."""
    assert refused(url=url) == 'store.bytes.url: is no bucket; write "s3://BUCKET" or "s3://BUCKET/PREFIX"'


@pytest.mark.parametrize(
    "endpoint",
    [
        "storage.example",
        "ftp://storage.example",
        "https://",
        "https://storage.example/pictures",
        "http://[::1",
        "http://x:0",
        "https://key:secret@storage.example",
        "https://storage.example?a",
        "https://storage.example:99999",
    ],
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    """Without repeating it, too."""
    said = refused(endpoint=endpoint)

    assert said.startswith("store.bytes.endpoint: is no address of storage; write ")
    assert "secret" not in said


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"timeout": "9s"}, "store.bytes.timeout"),
        ({"region": "a b"}, "store.bytes.region"),
        ({"buckt": "x"}, "store.bytes.buckt"),
        ({"secret_key": "s3cr3t"}, "store.bytes.secret_key"),
        ({"access_key": {"env": "A", "file": "b"}}, "store.bytes.access_key"),
    ],
)
def test_other_keys_are_refused_by_name(given: dict[str, Any], key: str) -> None:
    """And a key that is written down is not shown."""
    said = refused(**given)

    assert keys(said.splitlines()) == [key]
    assert "s3cr3t" not in said


def test_amazons_own_place_follows_from_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the table goes before those of the environment; China has a domain of its own."""
    assert table(region="eu-west-1").place() == ("https://s3.eu-west-1.amazonaws.com", "eu-west-1")
    assert table(region="cn-north-1").place()[0] == "https://s3.cn-north-1.amazonaws.com.cn"

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert table().place()[1] == "us-west-2"
    monkeypatch.setenv("AWS_REGION", "us-west-1")
    assert table().place()[1] == "us-west-1"
    assert table(region="eu-west-1").place()[1] == "eu-west-1"


def test_other_storage_needs_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its endpoint is the configuration's; one of the environment is for other programs."""
    assert table(endpoint="http://10.0.0.1:9000/").place() == ("http://10.0.0.1:9000", "us-east-1")
    assert table(endpoint="http://10.0.0.1:9000", region="here").place()[1] == "here"

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere.example")
    assert table(region="eu-west-1").place()[0] == "https://s3.eu-west-1.amazonaws.com"


def test_where_the_buckets_name_stands() -> None:
    """Before Amazon's host, unless it has dots; in the path of all others; or as it is said."""
    assert not table().in_path
    assert table(url="s3://my.pictures").in_path
    assert table(endpoint="https://storage.example").in_path
    assert not table(endpoint="https://storage.example", path_style=False).in_path
    assert table(path_style=True).in_path


def test_keys_are_fetched_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both or none, and they show nowhere."""
    (tmp_path / "secret").write_text("s3cr3t\n")
    monkeypatch.setenv("PICTURES_KEY", "id")
    read = table(access_key={"env": "PICTURES_KEY"}, secret_key={"file": str(tmp_path / "secret")})

    found = read.read_keys()
    assert found is not None
    assert [one.reveal() for one in found] == ["id", "s3cr3t"]
    assert "s3cr3t" not in repr(found) + repr(read)
    assert table().read_keys() is None


def test_authorities_are_read(tmp_path: Path) -> None:
    """As they are; without any it is those of the machine alone."""
    pem = trustme.CA().cert_pem.bytes()
    (tmp_path / "ca.pem").write_bytes(pem)

    assert table(ca=str(tmp_path / "ca.pem")).read_ca() == pem
    assert table().read_ca() is None


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    """What only shows when it is fetched, too."""
    read = table(access_key={"env": "NOT_SET"}, ca=str(tmp_path / "ca.pem"))
    assert keys(complaint(read.read)) == [
        "store.bytes.region",
        "store.bytes.access_key, store.bytes.secret_key",
        "store.bytes.ca",
    ]

    (tmp_path / "ca.pem").write_text("no certificate")
    read = table(
        region="here", access_key={"env": "NOT_SET"}, secret_key={"env": "NOT_SET"}, ca=str(tmp_path / "ca.pem")
    )
    assert complaint(read.read) == [
        "store.bytes.access_key: the environment variable NOT_SET is empty or not set",
        "store.bytes.ca: holds no certificate in PEM",
    ]


def test_what_is_right_is_read_without_complaint() -> None:
    """A bucket alone is enough, with its region."""
    table(region="eu-west-1").read()

    with pytest.raises(ConfigError, match=r"^store.bytes.region: is required"):
        table().read()

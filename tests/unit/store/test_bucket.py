"""A bucket that misbehaves, and what is sent to it."""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.store.bucket import _AT_ONCE, BucketBytes, BucketSettings

from tests.support.bucket_server import KEY_ID, REGION, SECRET, BucketServer, bucket_server
from tests.support.http_server import PATIENCE, Exchange, HttpServer, Script

TTL = 60.0
QUICK = 0.3
"""Seconds of a time-out that a test waits for."""

ACCESS_DENIED = b"<Error><Code>AccessDenied</Code><Message>no</Message><StringToSign>SIGNED</StringToSign></Error>"


def of(server: HttpServer, **settings: object) -> BucketBytes:
    """Open a bucket at a server that answers by a script."""
    keys = (Secret(KEY_ID), Secret(SECRET))
    given: dict[str, object] = {"bucket": "pictures", "endpoint": server.url, "region": REGION, "keys": keys}
    return BucketBytes(BucketSettings(**(given | settings)))  # type: ignore[arg-type]


def answering(status: str, body: bytes = b"", *headers: str) -> Script:
    """Script the same answer to everything."""

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(body, status, *headers)

    return answer


async def never(exchange: Exchange) -> None:
    """Take the request, and be silent until the other side is gone."""
    await exchange.closed_by_peer()


async def complaints(place: BucketBytes) -> tuple[str, str]:
    """Put and get in vain; returns what was said."""
    said = []
    for asked in (place.put("img_a_b", b"123", TTL), place.get("img_a_b")):
        with pytest.raises(ImageError) as caught:
            await asked
        assert caught.value.reason is Reason.STORE_UNAVAILABLE
        assert caught.value.__cause__ is None
        said.append(caught.value.message)
    return said[0], said[1]


@pytest.fixture
def own() -> Iterator[BucketServer]:
    """A server of the test's own, which it may stop."""
    with bucket_server() as server:
        yield server


async def test_a_server_that_is_gone_and_comes_back(own: BucketServer) -> None:
    """While it is gone everybody is told, and what it has is there again with it."""
    place = BucketBytes(own.settings())
    await place.put("img_a_b", b"123", TTL)
    own.stop()

    assert "no answer" in "".join(await complaints(place))

    own.start()
    assert await place.get("img_a_b") == b"123"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"bucket": "nobodys"}, "NoSuchBucket"),
        ({"keys": (Secret(KEY_ID), Secret("wrong"))}, "SignatureDoesNotMatch"),
        ({"keys": (Secret("stranger"), Secret(SECRET))}, "XAdminUserNotFound"),
        ({"region": "us-elsewhere-1"}, "AuthorizationHeaderMalformed"),
    ],
    ids=["bucket", "secret", "key", "region"],
)
async def test_what_is_set_wrongly_is_named(
    bucket: Callable[[], BucketServer], wrong: dict[str, object], word: str
) -> None:
    """By the server's own code; none is taken for an image that is not there, although the server says 404 of two."""
    place = BucketBytes(replace(bucket().settings(), **wrong))  # type: ignore[arg-type]

    assert all(f"({word})" in said for said in await complaints(place))
    with pytest.raises(OSError, match=rf"^store.bytes: s3://[a-z0-9-]+ cannot be used: .*{word}"):
        await place.check()


async def test_a_fit_bucket_passes_the_check(bucket: Callable[[], BucketServer]) -> None:
    """Under a prefix and without one; what it leaves behind is one object of some bytes under the prefix."""
    for prefix in ("", "a/b"):
        settings = bucket().settings(prefix=prefix)
        await BucketBytes(settings).check()

        (left,) = (path for path in (bucket().folder / settings.bucket / prefix).iterdir() if path.is_file())
        assert left.name.startswith("check_")


async def test_a_bucket_that_hides_what_is_missing_fails_the_check() -> None:
    """Without the right to list, the vendor answers 403 to whoever asks for what is not there."""
    async with HttpServer(answering("403 Forbidden", ACCESS_DENIED)) as server:
        with pytest.raises(OSError, match="AccessDenied"):
            await of(server).check()


async def test_what_the_server_says_is_not_repeated() -> None:
    """But for its code: an error of a signature repeats the key and what was signed."""
    async with HttpServer(answering("403 Forbidden", ACCESS_DENIED)) as server:
        said = "".join(await complaints(of(server)))

    assert "AccessDenied" in said
    assert not re.search(f"SIGNED|{KEY_ID}|{SECRET}|http", said)


@pytest.mark.parametrize("status", ["503 Slow Down", "500 Internal Server Error"])
async def test_a_server_that_is_busy_is_asked_again(status: str) -> None:
    """Soon, and a few times."""

    async def busy_twice(exchange: Exchange) -> None:
        if len(server.requests) <= 2:
            await exchange.answer(b"<Error><Code>SlowDown</Code></Error>", status)
        else:
            await exchange.answer(b"", "200 OK", 'ETag: "1"')

    async with HttpServer(busy_twice) as server:
        await of(server).put("img_a_b", b"123", TTL)

        assert [one.body for one in server.requests] == [b"123"] * 3


async def test_a_server_that_stays_busy_is_given_up() -> None:
    """With its code, or its status if it has none."""
    for body, word in ((b"<Error><Code>SlowDown</Code></Error>", "SlowDown"), (b"busy", "HTTP 503")):
        async with HttpServer(answering("503 Slow Down", body)) as server:
            said = await complaints(of(server))

            assert all(f"({word})" in one for one in said)
            assert len(server.requests) == 6


async def test_not_found_without_a_reason_is_no_answer() -> None:
    """A proxy says so, too; only the storage knows that an image is not there."""
    async with HttpServer(answering("404 Not Found", b"no such page")) as server:
        assert all("(HTTP 404)" in said for said in await complaints(of(server)))


async def test_a_silent_server_holds_nobody_up() -> None:
    """Neither a put nor a get, nor the check at the start."""
    async with HttpServer(never) as server:
        place = of(server, timeout=QUICK)
        async with asyncio.timeout(PATIENCE):
            assert all("(no answer in time)" in said for said in await complaints(place))
            with pytest.raises(OSError, match="no answer in time"):
                await place.check()


async def test_an_answer_that_stalls_holds_nobody_up() -> None:
    """The time is that of the whole image, not of its beginning."""

    async def begin(exchange: Exchange) -> None:
        await exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "1"\r\n')
        await exchange.send(b"Last-Modified: Sat, 28 Nov 2026 11:00:00 GMT\r\n\r\n1234")
        await exchange.closed_by_peer()

    async with HttpServer(begin) as server:
        with pytest.raises(ImageError, match="no answer in time"):
            async with asyncio.timeout(PATIENCE):
                await of(server, timeout=QUICK).get("img_a_b")


async def test_an_answer_that_breaks_off_is_no_image() -> None:
    """However often it does."""

    async def begin(exchange: Exchange) -> None:
        await exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "1"\r\n')
        await exchange.send(b"Last-Modified: Sat, 28 Nov 2026 11:00:00 GMT\r\n\r\n1234")
        exchange.hang_up()

    async with HttpServer(begin) as server:
        with pytest.raises(ImageError, match="no answer"):
            async with asyncio.timeout(PATIENCE):
                await of(server).get("img_a_b")


async def test_so_many_images_are_on_their_way_and_no_more() -> None:
    """The others wait for a turn, and all get theirs."""
    held = asyncio.Semaphore(0)
    busy: list[int] = []
    now = 0

    async def hold(exchange: Exchange) -> None:
        nonlocal now
        now += 1
        busy.append(now)
        await held.acquire()
        now -= 1
        await exchange.answer(b"", "200 OK", 'ETag: "1"')

    async with HttpServer(hold) as server, asyncio.TaskGroup() as puts:
        place = of(server, timeout=PATIENCE)
        for number in range(100):
            puts.create_task(place.put(f"img_a_{number}", b"123", TTL))
        await server.arrived(_AT_ONCE)
        for _ in range(100):
            held.release()

    assert max(busy) == _AT_ONCE
    assert len(busy) == 100


async def test_whoever_waits_for_a_turn_is_held_up_no_longer() -> None:
    """More images than there are connections wait no longer than one."""
    async with HttpServer(never) as server:
        place = of(server, timeout=QUICK)
        async with asyncio.timeout(PATIENCE):
            got = await asyncio.gather(*(place.get(f"img_a_{number}") for number in range(100)), return_exceptions=True)

    assert all(isinstance(one, ImageError) for one in got)


async def test_a_stopped_put_leaves_the_server() -> None:
    """The connection is closed, and nobody is told anything else."""
    gone = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        await exchange.closed_by_peer()
        gone.set()

    async with HttpServer(wait) as server:
        put = asyncio.create_task(of(server).put("img_a_b", b"123", TTL))
        await server.arrived(1)
        put.cancel()

        with pytest.raises(asyncio.CancelledError):
            await put
        async with asyncio.timeout(PATIENCE):
            await gone.wait()


async def test_what_a_put_is() -> None:
    """One request with all bytes, signed, under the prefix; when it may go stands beside it."""
    async with HttpServer(answering("200 OK", b"", 'ETag: "1"')) as server:
        await of(server, prefix="a/b").put("img_a_b", b"123", TTL)
        (sent,) = server.requests

    assert (sent.line, sent.body) == ("PUT /pictures/a/b/img_a_b HTTP/1.1", b"123")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", sent.headers["x-amz-meta-expires"])
    assert f"Credential={KEY_ID}/" in sent.headers["authorization"]
    assert f"/{REGION}/s3/" in sent.headers["authorization"]
    assert SECRET.encode() not in sent.head


async def test_a_key_of_the_environment_is_used_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of a session belongs to the key beside it, never to one that the configuration names."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    async with HttpServer(answering("200 OK", b"", 'ETag: "1"')) as server:
        await of(server).put("img_a_b", b"123", TTL)
        await of(server, keys=None).put("img_a_b", b"123", TTL)
        ours, theirs = server.requests

    assert f"Credential={KEY_ID}/" in ours.headers["authorization"]
    assert "x-amz-security-token" not in ours.headers
    assert "Credential=another-id/" in theirs.headers["authorization"]
    assert theirs.headers["x-amz-security-token"] == "a-token"


async def test_the_environment_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that name another endpoint or bucket are for other programs."""
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_BUCKET", "elsewhere")
    monkeypatch.setenv("AWS_REGION", "us-elsewhere-1")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
    async with HttpServer(answering("200 OK", b"", 'ETag: "1"')) as server:
        await of(server).put("img_a_b", b"123", TTL)

        assert server.requests[0].line.startswith("PUT /pictures/img_a_b ")
        assert f"/{REGION}/s3/" in server.requests[0].headers["authorization"]


async def test_the_bucket_may_stand_before_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the vendor wants it for its own buckets. The way is that of the environment's proxy, which shows the name."""
    async with HttpServer(answering("200 OK", b"", 'ETag: "1"')) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        place = of(server, path_style=False, endpoint="http://storage.example:9000")
        await place.put("img_a_b", b"123", TTL)

        assert server.requests[0].line == "PUT http://pictures.storage.example:9000/img_a_b HTTP/1.1"


async def test_nobody_who_has_no_key_gets_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any, the machine is asked for the keys of its role; one that has none says so in time."""
    async with HttpServer(never) as machine, HttpServer() as server:
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", machine.url)
        async with asyncio.timeout(PATIENCE):
            assert all("no answer in time" in said for said in await complaints(of(server, keys=None, timeout=QUICK)))

        assert not server.requests

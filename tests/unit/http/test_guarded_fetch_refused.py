"""Where the fetcher does not go: not even a connection is made."""

# ruff: noqa: RUF001, SIM117 - letters that look like others are the examples; servers, then their fetchers

from collections.abc import Sequence

import pytest
from imagegen_server.http.guarded_fetch import GuardedFetcher, NotFetched

from tests.support.authority import Authority
from tests.support.fetching import PICTURE, Names, fetcher, refused, show
from tests.support.http_server import Exchange, HttpServer, Script

HERE = "127.0.0.1"
NOT_PUBLIC = "not public, and the operator does not allow it (fetch.allow)"


def redirect(*locations: str, status: str = "302 Found") -> Script:
    """Answer the first requests with redirects, and those after them with a picture."""
    left = list(locations)

    async def answer(exchange: Exchange) -> None:
        if left:
            await exchange.answer(b"", status, f"Location: {left.pop(0)}", "Set-Cookie: secret=1; Path=/")
        else:
            await show(exchange)

    return answer


async def fetch(fetching: GuardedFetcher, url: str) -> bytes:
    """Fetch a picture."""
    return await fetching.fetch(url, max_bytes=len(PICTURE))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1.", "127。0。0。1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"]
)
async def test_loopback_is_refused_in_every_spelling(host: str) -> None:
    """A server listens there, and sees nothing."""
    async with HttpServer(show) as server, fetcher() as fetching:
        why = await refused(fetching, f"http://{host}:{server.port}/secret?secret")
    assert server.connections == 0
    assert why.endswith(f":{server.port} is {NOT_PUBLIC}")
    assert "secret" not in why


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "[::1%25lo]", "127.0.0.1%00.a.b"])
async def test_odd_spellings_are_malformed(host: str) -> None:
    """They are the caller's mistake, and reach no resolver."""
    names = Names({})
    async with HttpServer(show) as server, fetcher(HERE, resolver=names) as fetching:
        with pytest.raises(NotFetched) as caught:
            await fetch(fetching, f"http://{host}:{server.port}/")
    assert caught.value.malformed
    assert server.connections == 0
    assert names.asked == []


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "ip6-localhost"])
async def test_the_name_of_this_machine_is_refused(name: str) -> None:
    """By the system's own resolver; a name that it does not know is as good."""
    async with HttpServer(show) as server, fetcher() as fetching:
        assert NOT_PUBLIC in (why := await refused(fetching, f"http://{name}:{server.port}/")) or "not found" in why
    assert server.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["2606:4700:4700::1111", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["fe80::1%lo"],
    ],
)
async def test_a_name_that_also_leads_inside_is_refused(answer: Sequence[str]) -> None:
    """One address that is not public spoils the answer, and is not told."""
    names = Names({"evil.example": [answer]})
    async with HttpServer(show) as server, fetcher(resolver=names) as fetching:
        why = await refused(fetching, f"http://evil.example:{server.port}/secret")
    assert server.connections == 0
    assert why == f"evil.example:{server.port} leads to an address that is {NOT_PUBLIC}"


async def test_only_what_is_allowed_is_connected_to() -> None:
    """Another port, another name, another address of loopback."""
    names = Names({"cdn.internal": [["127.0.0.1"]], "other.internal": [["127.0.0.1"]]})
    async with HttpServer(show) as server, HttpServer(show) as other:
        async with fetcher(f"cdn.internal:{server.port}", "127.0.0.2", resolver=names) as fetching:
            assert await fetch(fetching, f"http://cdn.internal:{server.port}/") == PICTURE
            for url in (
                f"http://cdn.internal:{other.port}",
                f"http://other.internal:{other.port}",
                f"http://other.internal:{server.port}",
                other.url,
                server.url,
            ):
                assert NOT_PUBLIC in await refused(fetching, url)
    assert (server.connections, other.connections) == (1, 0)


async def test_redirects_are_followed() -> None:
    """Every kind, absolute or relative, five of them; no cookie and no referrer goes along."""
    names = Names({"b.example": [["127.0.0.1"]]})
    for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
        async with HttpServer() as server, fetcher(HERE, resolver=names) as fetching:
            there = f"http://b.example:{server.port}"
            server.script = redirect("/b?c", "d", f"{there}/e", f"//b.example:{server.port}/f", "?g=%2F", status=status)
            assert await fetch(fetching, f"{server.url}/a?secret") == PICTURE
        assert [request.line.split()[1] for request in server.requests] == [
            "/a?secret", "/b?c", "/d", "/e", "/f", "/f?g=%2F",
        ]  # fmt: skip
        for request in server.requests:
            assert not {"cookie", "referer", "authorization"} & {name.lower() for name in request.headers}


async def test_a_redirect_loop_ends() -> None:
    """After five."""
    async with HttpServer(redirect(*["/secret"] * 100)) as server, fetcher(HERE) as fetching:
        why = await refused(fetching, server.url)
    assert why == f"127.0.0.1:{server.port} redirects more than 5 times"
    assert len(server.requests) == 6


@pytest.mark.parametrize("host", ["127.0.0.1", "inside.example", "[::ffff:127.0.0.1]", "localhost"])
async def test_a_redirect_inside_is_refused(host: str) -> None:
    """Every hop is checked for itself, also when the first one was allowed."""
    names = Names({name: [["127.0.0.1"]] for name in ("cdn.internal", "inside.example", "localhost")})
    async with HttpServer(show) as inside, HttpServer() as server:
        server.script = redirect(f"http://{host}:{inside.port}/secret?secret")
        async with fetcher("cdn.internal", resolver=names) as fetching:
            why = await refused(fetching, f"http://cdn.internal:{server.port}/")
    assert inside.connections == 0
    assert why.endswith(f"{NOT_PUBLIC}; cdn.internal:{server.port} redirected there")
    assert "secret" not in why


@pytest.mark.parametrize(("port", "refused"), [(1, True), (0, False)], ids=["inside", "not-there"])
async def test_what_is_refused_is_told_from_what_is_not_there(port: int, *, refused: bool) -> None:
    """Only the latter may be there at the next try. The same of what a redirect leads to."""

    async def gone(exchange: Exchange) -> None:
        await exchange.answer(b"", "404 Not Found")

    async with HttpServer(gone) as server, HttpServer() as first:
        url = f"http://127.0.0.1:{port or server.port}/"
        first.script = redirect(url)
        async with fetcher(f"127.0.0.1:{first.port}", f"127.0.0.1:{server.port}") as fetching:
            for start in (url, first.url):
                with pytest.raises(NotFetched) as caught:
                    await fetch(fetching, start)
                assert caught.value.refused is refused


async def test_a_name_that_changes_between_hops_is_checked_again() -> None:
    """The second answer is another one: refused before a connection."""
    names = Names({"evil.example": [["127.0.0.1"], ["127.0.0.2"]]})
    async with HttpServer(redirect("/again")) as server, fetcher(HERE, resolver=names) as fetching:
        why = await refused(fetching, f"http://evil.example:{server.port}/")
    assert NOT_PUBLIC in why
    assert names.asked == ["evil.example"] * 2
    assert server.connections == 1


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("", "begin with"),
        ("file:///etc/passwd", "begin with"),
        ("ftp://127.0.0.1/secret", "begin with"),
        ("http://secret:secret@127.0.0.1/", "user"),
        ("http://secret:secret＠a.example/", "no URL"),
        ("http://[::1", "no URL"),
        ("http://2130706433/", "four decimal"),
        ("/a b", "space"),
        ("/" + "x" * 10_000, "longer"),
    ],
)
async def test_a_redirect_to_something_odd_is_refused(location: str, why: str) -> None:
    """It is not the caller's mistake, and is not repeated."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode())

    async with HttpServer(answer) as server, fetcher(HERE) as fetching:
        told = await refused(fetching, server.url)
    assert told.startswith(f"127.0.0.1:{server.port} redirects to ")
    assert why in told
    assert "secret" not in told


async def test_a_redirect_from_https_to_http_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for encrypted does not travel in the open; the other direction is fine."""
    monkeypatch.setenv("SSL_CERT_FILE", authority.path)
    async with HttpServer(show) as plain, HttpServer(context=authority.context(HERE)) as secure:
        secure.script = redirect(plain.url)
        async with fetcher(HERE) as fetching:
            why = await refused(fetching, secure.url)
            assert plain.connections == 0
            plain.script = redirect(secure.url)
            assert await fetch(fetching, plain.url) == PICTURE
    assert why == f"127.0.0.1:{secure.port} redirects from https to http"


async def test_a_configured_origin_is_allowed() -> None:
    """With its path or without, in any case, and also by a redirect to itself."""
    names = Names({"backend.internal": [["127.0.0.1"]]})
    async with HttpServer(redirect("/there")) as server, fetcher(resolver=names) as fetching:
        for host, origin in (("127.0.0.1", "127.0.0.1"), ("backend.internal", "BACKEND.internal.")):
            got = await fetching.fetch(
                f"http://{host}:{server.port}/x",
                max_bytes=len(PICTURE),
                allow_origin=f"HTTP://{origin}:{server.port}/v1",
            )
            assert got == PICTURE


@pytest.mark.parametrize(
    "origin",
    [
        "", "http://127.0.0.1", "https://127.0.0.1:{port}", "http://127.0.0.2:{port}", "http://localhost:{port}",
        "127.0.0.1:{port}", "http://127.1:{port}", "http://user@127.0.0.1:{port}", "nonsense", "*",
    ],
)  # fmt: skip
async def test_another_origin_is_not_allowed(origin: str) -> None:
    """Scheme, host and port must all be the same."""
    names = Names({"localhost": [["127.0.0.1"]]})
    async with HttpServer(show) as server, fetcher(resolver=names) as fetching:
        why = await refused(fetching, server.url, allow_origin=origin.format(port=server.port))
    assert NOT_PUBLIC in why
    assert server.connections == 0


async def test_a_configured_origin_lends_nothing_to_where_it_redirects() -> None:
    """The same address on another port is refused, unless it is allowed for itself."""
    async with HttpServer(show) as inside, HttpServer() as server:
        for allow, expected in (((), ""), ((f"127.0.0.1:{inside.port}",), PICTURE)):
            server.script = redirect(inside.url)
            async with fetcher(*allow) as fetching:
                if expected:
                    assert await fetching.fetch(server.url, max_bytes=len(PICTURE), allow_origin=server.url) == expected
                else:
                    assert NOT_PUBLIC in await refused(fetching, server.url, allow_origin=server.url)
                    assert inside.connections == 0

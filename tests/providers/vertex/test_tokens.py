"""Access tokens: found as google-auth finds them, kept, asked for once, sent to the API alone, told when missing."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.domain.task import Operation, Options, Wish
from imagegen_server.http.client import HttpSettings
from imagegen_server.providers.vertex import VertexSettings, tokens

from tests.support.http_server import Exchange, HttpServer
from tests.support.tools import require_package
from tests.support.vendor import Answer, json_answer
from tests.support.vertex_api import PROJECT
from tests.support.vertex_issuer import FakeIssuer, fake_issuer, no_credentials
from tests.support.vertex_provider import MODEL, VertexWorkshop, vertex_workshop

DRAW = Wish(Operation.GENERATE, MODEL, "a lighthouse at dusk", Options())
PLACED = VertexSettings(PROJECT)


@pytest.fixture
async def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeIssuer]:
    """Have an issuer, and no credentials but those of the test; google-auth does not wait between its tries."""
    no_credentials(monkeypatch, tmp_path)
    backoff = require_package("google.auth._exponential_backoff")
    monkeypatch.setattr(backoff.time, "sleep", lambda _seconds: None)
    async with fake_issuer() as fake:
        monkeypatch.setattr(require_package("google.oauth2.credentials"), "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", fake.url)
        yield fake


def sent_tokens(made: VertexWorkshop) -> list[str]:
    """What proved who asks, request by request."""
    return [call.headers["authorization"].removeprefix("Bearer ") for call in made.fake.requests]


async def test_a_service_account_asks_once(issuer: FakeIssuer, tmp_path: Path) -> None:
    """One token for requests side by side and later, in paths that name the project; and no key."""
    settings = replace(PLACED, location="europe-west4", credentials_file=issuer.service_account(tmp_path))
    async with vertex_workshop(settings, key="") as made:
        made.fake.tokens.add("access-token-1")
        await asyncio.gather(*(made.workshop.result(DRAW) for _ in range(3)))
        await made.workshop.result(replace(DRAW, options=Options(preview_count=1)))

    assert sent_tokens(made) == ["access-token-1"] * 4
    place = f"/v1/projects/{PROJECT}/locations/europe-west4/publishers/google/models/gemini-3-pro-image"
    assert {call.path.partition(":")[0] for call in made.fake.requests} == {place}
    assert all("x-goog-api-key" not in call.headers for call in made.fake.requests)
    assert all("x-goog-user-project" not in call.headers for call in made.fake.requests)
    assert [call.path for call in issuer.requests] == ["/token"]


async def test_a_token_that_is_about_to_end_is_not_used(issuer: FakeIssuer, tmp_path: Path) -> None:
    """It is got anew minutes before its end, so that none ends on the way."""
    issuer.seconds = 200
    settings = replace(PLACED, credentials_file=issuer.service_account(tmp_path))
    async with vertex_workshop(settings, key="") as made:
        made.fake.tokens |= {"access-token-1", "access-token-2"}
        await made.workshop.result(DRAW)
        issuer.seconds = 3600
        await made.workshop.result(DRAW)
        await made.workshop.result(DRAW)

    assert sent_tokens(made) == ["access-token-1", "access-token-2", "access-token-2"]


async def test_a_user_has_a_project_of_his_own(issuer: FakeIssuer, tmp_path: Path) -> None:
    """The one that is billed for the use of the API goes along; the table's own goes before it."""
    settings = replace(PLACED, credentials_file=issuer.user(tmp_path))
    for chosen, told in (("", "the-users-own"), ("shared", "shared")):
        async with vertex_workshop(replace(settings, quota_project=chosen), key="") as made:
            made.fake.tokens |= {"access-token-1", "access-token-2"}
            await made.workshop.result(DRAW)
        assert made.fake.requests[0].headers["x-goog-user-project"] == told


async def test_a_workload_elsewhere_exchanges_its_token(issuer: FakeIssuer, tmp_path: Path) -> None:
    """Workload identity: the token of another cloud, or of a cluster, is exchanged for one."""
    async with vertex_workshop(replace(PLACED, credentials_file=issuer.workload(tmp_path)), key="") as made:
        made.fake.tokens.add("access-token-1")
        await made.workshop.result(DRAW)

    assert sent_tokens(made) == ["access-token-1"]
    assert [call.path for call in issuer.requests] == ["/token"]


async def test_credentials_are_found_where_the_vendor_keeps_them(
    issuer: FakeIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of `gcloud auth application-default login`, without a word in the settings."""
    (tmp_path / "gcloud").mkdir()
    Path(issuer.user(tmp_path)).rename(tmp_path / "gcloud" / "application_default_credentials.json")
    monkeypatch.setattr(require_package("google.auth._cloud_sdk"), "get_project_id", lambda: None)
    async with vertex_workshop(PLACED, key="") as made:
        made.fake.tokens.add("access-token-1")
        await made.workshop.result(DRAW)

    assert sent_tokens(made) == ["access-token-1"]


async def test_a_machine_has_an_account(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its metadata server is asked, by our own client."""
    metadata = require_package("google.auth.compute_engine._metadata")
    host = issuer.base_url.removeprefix("http://")
    monkeypatch.setattr(metadata, "_NO_GCE_CHECK", False)
    monkeypatch.setattr(metadata, "_GCE_METADATA_HOST", host)
    monkeypatch.setenv("GCE_METADATA_IP", host)
    async with vertex_workshop(PLACED, key="") as made:
        made.fake.tokens.add("access-token-1")
        await made.workshop.result(DRAW)

    assert sent_tokens(made) == ["access-token-1"]
    assert all(call.headers["user-agent"].startswith("python-httpx") for call in issuer.requests)


async def test_a_refused_token_is_not_kept(issuer: FakeIssuer, tmp_path: Path) -> None:
    """The next request reads the credentials anew, which may be others by then."""
    settings = replace(PLACED, credentials_file=issuer.service_account(tmp_path))
    async with vertex_workshop(settings, key="") as made:
        broken = await made.workshop.broken(DRAW)
        issuer.user(tmp_path)
        made.fake.tokens.add("access-token-2")
        await made.workshop.result(DRAW)

    assert (broken.error.reason, broken.error.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)
    assert sent_tokens(made) == ["access-token-1", "access-token-2"]
    assert made.fake.requests[1].headers["x-goog-user-project"] == "the-users-own"


async def fails(settings: VertexSettings, http: HttpSettings | None = None) -> Broken:
    """Ask for a picture in vain: nothing was sent, and nothing was paid."""
    async with vertex_workshop(settings, key="", http=http) as made:
        broken = await made.workshop.broken(DRAW)
    assert made.fake.requests == []
    assert broken.error.billed is Billed.NO
    assert broken.failure.attempts[0].outcome in (AttemptOutcome.NOT_SENT, AttemptOutcome.REJECTED)
    return broken


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        ("no credentials", "DefaultCredentialsError"),
        ("no file", "DefaultCredentialsError"),
        ("no JSON", "DefaultCredentialsError"),
        ("another key", "RefreshError: invalid_grant"),
        ("a user who has left", "RefreshError: invalid_grant"),
    ],
)
async def test_without_credentials_nothing_is_sent(issuer: FakeIssuer, tmp_path: Path, problem: str, told: str) -> None:
    """It is said what to do, and no more of what others say than a code."""
    path = tmp_path / "credentials.json"
    match problem:
        case "no file":
            path = tmp_path / "none.json"
        case "no JSON":
            path.write_text("service account", encoding="utf-8")
        case "another key":
            issuer.service_account(tmp_path, own_key=False)
        case "a user who has left":
            issuer.user(tmp_path, "refresh-2")
    settings = replace(PLACED, credentials_file="" if problem == "no credentials" else str(path))
    error = (await fails(settings)).error

    assert error.reason is Reason.AUTHENTICATION_FAILED
    assert f"({told})" in error.message
    assert "set credentials_file" in error.message
    assert "revoked" not in error.message


async def test_after_a_failure_the_file_is_read_again(issuer: FakeIssuer, tmp_path: Path) -> None:
    """Whoever signs in anew need not start the server anew."""
    settings = replace(PLACED, credentials_file=issuer.user(tmp_path, "refresh-2"))
    async with vertex_workshop(settings, key="") as made:
        made.fake.tokens.add("access-token-1")
        await made.workshop.broken(DRAW)
        issuer.user(tmp_path)
        await made.workshop.result(DRAW)

    assert sent_tokens(made) == ["access-token-1"]


async def test_an_issuer_that_is_overloaded(issuer: FakeIssuer, tmp_path: Path) -> None:
    """Asked three times by google-auth; then it is worth another try later."""
    issuer.answer_next(*(replace(json_answer(503, {"error": "unavailable"}), checks=False) for _ in range(3)))
    error = (await fails(replace(PLACED, credentials_file=issuer.service_account(tmp_path)))).error

    assert error.reason is Reason.PROVIDER_UNAVAILABLE
    assert len(issuer.requests) == 3


async def test_an_issuer_that_cannot_be_reached(issuer: FakeIssuer, tmp_path: Path) -> None:
    """The host and the cause are told; the API was not asked."""
    path = Path(issuer.service_account(tmp_path))
    said = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(said | {"token_uri": "http://127.0.0.1:9/token"}), encoding="utf-8")
    error = (await fails(replace(PLACED, credentials_file=str(path)))).error

    assert (error.reason, error.sent) == (Reason.NETWORK_ERROR, False)
    assert "cannot connect to 127.0.0.1: Connection refused" in error.message


@pytest.mark.parametrize("trouble", ["silent", "endless"])
async def test_an_issuer_that_never_ends(
    issuer: FakeIssuer, tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step has its limit, and so has the size of an answer."""
    if trouble == "silent":
        monkeypatch.setattr(tokens, "_STEP_SECONDS", 0.05)
        said = Answer(200, {}, [asyncio.Event()], checks=False)
    else:
        monkeypatch.setattr(tokens, "_MOST_BYTES", 100)
        said = Answer(200, {}, [b" " * 101, asyncio.Event()], checks=False)
    issuer.answer_next(said)
    error = (await fails(replace(PLACED, credentials_file=issuer.service_account(tmp_path)))).error

    assert error.reason is Reason.NETWORK_ERROR
    assert "127.0.0.1 took too long" in error.message


async def test_who_waits_gives_up_in_time(issuer: FakeIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh that hangs is left by who waits for it, and goes on for whoever comes later."""
    monkeypatch.setattr(tokens, "_SECONDS", 0.05)
    slow = asyncio.Event()
    issuer.answer_next(Answer(before=slow, checks=False, pieces=[b"{}"]))
    settings = replace(PLACED, credentials_file=issuer.service_account(tmp_path))
    async with vertex_workshop(settings, key="") as made:
        broken = await made.workshop.broken(DRAW)
        slow.set()

    assert (broken.error.reason, broken.error.sent) == (Reason.NETWORK_ERROR, False)
    assert "within 0.05 s" in broken.error.message


async def test_leaving_does_not_end_it_for_others(issuer: FakeIssuer, tmp_path: Path) -> None:
    """Two wait for one token, one of them leaves, the other gets it."""
    asked = asyncio.Event()
    token = {"access_token": "access-token-0", "expires_in": 3600}
    first = replace(json_answer(200, token), before=asked)
    issuer.answer_next(first)
    settings = replace(PLACED, credentials_file=issuer.service_account(tmp_path))
    async with vertex_workshop(settings, key="") as made:
        made.fake.tokens.add("access-token-0")
        leaving = asyncio.create_task(made.workshop.result(DRAW))
        staying = asyncio.create_task(made.workshop.result(DRAW))
        async with asyncio.timeout(10):
            await first.asked.wait()
            leaving.cancel()
            await asyncio.wait([leaving])
            asked.set()
            await staying

    assert sent_tokens(made) == ["access-token-0"]
    assert len(issuer.requests) == 1


async def test_a_token_is_repeated_nowhere(
    issuer: FakeIssuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in an error of the vendor's nor in a log, though it looks like no key."""
    caplog.set_level(logging.DEBUG)
    settings = replace(PLACED, credentials_file=issuer.service_account(tmp_path))
    async with vertex_workshop(settings, key="") as made:
        refusal = json_answer(
            403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "not access-token-1 !"}}
        )
        made.fake.answer_next(replace(refusal, checks=False))
        broken = await made.workshop.broken(DRAW)

    assert broken.error.message == "vertex: not *** !"
    assert "access-token-1" not in caplog.text


async def test_tokens_go_the_same_way_without_a_gateways_headers(issuer: FakeIssuer, tmp_path: Path) -> None:
    """The provider's proxy leads to the issuer, too; what the operator adds for the API is not told there."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(b"", "403 Forbidden")

    path = Path(issuer.service_account(tmp_path))
    said = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(said | {"token_uri": "http://tokens.example/token"}), encoding="utf-8")
    async with HttpServer(refuse) as proxy:
        http = HttpSettings("http://127.0.0.1:9", proxy=proxy.url, headers={"x-gateway": "secret-of-the-gateway"})
        await fails(replace(PLACED, credentials_file=str(path)), http)

    assert proxy.requests[0].line == "POST http://tokens.example/token HTTP/1.1"
    assert "x-gateway" not in proxy.requests[0].headers


async def test_a_list_needs_a_token(issuer: FakeIssuer, tmp_path: Path) -> None:
    """It is asked for with one, and without credentials it cannot be had."""
    settings = replace(PLACED, credentials_file=issuer.service_account(tmp_path))
    async with vertex_workshop(settings, key="") as made:
        made.fake.tokens.add("access-token-1")
        listed = await models_of(made)
    async with vertex_workshop(PLACED, key="") as made:
        with pytest.raises(ImageError) as caught:
            await models_of(made)

    assert "gemini-3-pro-image" in {model.id for model in listed}
    assert caught.value.reason is Reason.AUTHENTICATION_FAILED


async def models_of(made: VertexWorkshop) -> Sequence[Model]:
    """Ask for the vendor's list without a key."""
    assert made.entry.http is not None
    return await made.entry.provider.list_models(made.entry.http, None)

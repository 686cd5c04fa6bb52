"""Requests signed with AWS credentials, from wherever botocore finds them. The fake works signatures out anew."""

import asyncio
import hashlib
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.http.client import HttpClient, HttpSettings, Unsigned
from imagegen_server.providers.bedrock import BedrockSettings
from imagegen_server.providers.bedrock.provider import Bedrock
from imagegen_server.providers.bedrock.signing import Signer

from tests.support.bedrock_api import ACCESS_KEY, REGION, SECRET_KEY, TOKEN, fake_bedrock
from tests.support.bedrock_package import aws_environment, credentials
from tests.support.bedrock_provider import EDITOR, MODEL, bedrock_workshop
from tests.support.generation import drawing, editing
from tests.support.http_server import ENGINES, PATIENCE
from tests.support.pictures import png
from tests.support.tools import require_package

UNSIGNED = Unsigned("POST", "https://bedrock.example/model/x/invoke", {"host": "bedrock.example"}, b"{}")


@pytest.fixture(autouse=True)
def _botocore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have botocore, and no AWS of whoever runs the tests."""
    require_package("botocore")
    aws_environment(monkeypatch, tmp_path)


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Set what an environment says."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def shared_file(place: Path, text: str) -> None:
    """Write the shared configuration of AWS."""
    (place / "config").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("token", ["", TOKEN], ids=["user", "role"])
async def test_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """With the token of a session, and without; an edit's body, too, is what was signed."""
    set_variables(monkeypatch, credentials(token))
    async with bedrock_workshop(key="") as made:
        await made.workshop.result(drawing(MODEL))
        await made.workshop.result(editing(png(64, 64), model=EDITOR))

    for request in made.fake.requests:
        assert request.headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")
        assert request.headers.get("x-amz-security-token", "") == token


async def test_credentials_of_a_profile(tmp_path: Path) -> None:
    """In a shared file, by the name that the table says."""
    keys = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    shared_file(tmp_path, f"[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n[profile art]\n{keys}")
    async with fake_bedrock() as fake:
        provider = Bedrock("bedrock", BedrockSettings(REGION, "art"))
        http = HttpClient(HttpSettings(fake.base_url))
        try:
            assert len(await provider.list_models(http, None)) == 16
        finally:
            await provider.close()
            await http.close()


async def test_credentials_are_refreshed(tmp_path: Path) -> None:
    """By botocore, when their end is near: here for every request."""
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    told = {"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Expiration": soon}
    program = tmp_path / "keys.py"
    program.write_text(
        f"import json, pathlib\nasked = pathlib.Path({str(tmp_path / 'asked')!r})\n"
        "asked.write_text((asked.read_text() if asked.exists() else '') + '.')\n"
        f"print(json.dumps({told!r}))\n",
        encoding="utf-8",
    )
    shared_file(tmp_path, f"[default]\ncredential_process = {sys.executable} {program}\n")
    async with bedrock_workshop(key="") as made:
        await made.workshop.result(drawing(MODEL))
        before = (tmp_path / "asked").read_text()
        await made.workshop.result(drawing(MODEL))

    assert len((tmp_path / "asked").read_text()) > len(before)


async def test_without_credentials_nothing_is_sent() -> None:
    """It costs nothing, and the operator is told what to do."""
    async with bedrock_workshop(key="") as made:
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)
    assert "AWS_BEARER_TOKEN_BEDROCK" in broken.error.message
    assert made.fake.requests == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            "[default]\ncredential_process = {python} -c 'import sys; sys.exit(\"hush-77 is wrong\")'\n",
            "CredentialRetrievalError",
        ),
        ("[default]\ncredential_process = {python} -c 'print(1, \"hush-77\")'\n", "JSONDecodeError"),
        ("[default]\nsso_session = gone\nsso_account_id = 1\nsso_role_name = hush-77\n", "InvalidConfigError"),
        ("hush-77", "ConfigParseError"),
    ],
    ids=["process fails", "process says nonsense", "sso", "file"],
)
async def test_what_keeps_credentials_away_is_told_by_its_name(tmp_path: Path, text: str, kind: str) -> None:
    """Nothing else of it: a program may have said anything."""
    shared_file(tmp_path, text.format(python=sys.executable))
    async with bedrock_workshop(key="") as made:
        broken = await made.workshop.broken(drawing(MODEL))
    error = broken.error

    assert (error.reason, error.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)
    assert f"({kind})" in error.message
    assert "hush-77" not in repr((broken, vars(error), error.__cause__))


async def test_a_profile_that_is_not_there() -> None:
    """It is told when it is needed."""
    signer = Signer(REGION, "nobody")
    with pytest.raises(Exception, match="ProfileNotFound"):
        await signer.headers(UNSIGNED)
    signer.close()


async def test_the_loop_goes_on_while_credentials_are_fetched() -> None:
    """They may come from a network, and take as long as that takes."""
    loop, begun, fetched = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    botocore: Any = require_package("botocore.credentials")

    class Slow:
        def get_credentials(self) -> Any:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(fetched.wait(), loop).result(PATIENCE)
            return botocore.Credentials(ACCESS_KEY, SECRET_KEY)

    signer = Signer(REGION, "")
    signer._session = Slow()
    signing = asyncio.create_task(signer.headers(UNSIGNED))
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
        fetched.set()
        proof = await signing
    signer.close()

    assert set(proof) == {"authorization", "x-amz-date"}


async def test_a_body_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have many megabytes."""
    auth: Any = require_package("botocore.auth")
    set_variables(monkeypatch, credentials())
    hashed: list[int] = []

    def counting(data: bytes = b"") -> Any:
        hashed.append(len(data))
        return hashlib.sha256(data)

    monkeypatch.setattr(auth, "sha256", counting)
    signer = Signer(REGION, "")
    await signer.headers(Unsigned("POST", UNSIGNED.url, UNSIGNED.headers, b"x" * 1_000_000))
    signer.close()

    assert hashed.count(1_000_000) == 1


async def test_nothing_of_it_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The package writes down what it signs, unless it is told not to."""
    set_variables(monkeypatch, credentials())
    with caplog.at_level(logging.DEBUG):
        async with bedrock_workshop(key="") as made:
            await made.workshop.result(drawing(MODEL))
    signature = made.fake.requests[0].headers["authorization"].rpartition("=")[2]

    assert not [secret for secret in (TOKEN, SECRET_KEY, signature) if secret in caplog.text]


async def test_what_was_signed_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's answer to a bad signature holds the token of the session; our error does not."""
    set_variables(monkeypatch, credentials() | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    async with bedrock_workshop(key="") as made:
        broken = await made.workshop.broken(drawing(MODEL))

    assert broken.error.reason is Reason.AUTHENTICATION_FAILED
    assert "Canonical String" in broken.error.message
    assert TOKEN not in repr((broken, vars(broken.error)))


async def test_what_is_explained_needs_no_credentials() -> None:
    """Nobody is asked for them."""
    async with bedrock_workshop(key="") as made:
        (planned,) = await made.workshop.explained(drawing(MODEL))

    assert "/model/stability.stable-image-core-v1%3A1/invoke" in repr(planned)


@pytest.mark.parametrize("engine", ENGINES)
async def test_headers_of_the_operator(monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    """Those that are AWS's own are signed, too, by either engine; others are sent as they are."""
    set_variables(monkeypatch, credentials())
    headers = {"X-Amzn-Bedrock-GuardrailIdentifier": "a  b", "X-Gateway": "1"}
    async with fake_bedrock() as fake:
        provider = Bedrock("bedrock", BedrockSettings(REGION))
        http = HttpClient(HttpSettings(fake.base_url, headers=headers, engine=engine))
        try:
            await provider.list_models(http, None)
        finally:
            await provider.close()
            await http.close()

    for request in fake.requests:
        assert "x-amzn-bedrock-guardrailidentifier" in request.headers["authorization"]
        assert "gateway" not in request.headers["authorization"]
        assert request.headers["x-gateway"] == "1"

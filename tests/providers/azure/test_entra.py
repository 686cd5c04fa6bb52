"""Tokens of Microsoft Entra: asked for late, kept, sent to the endpoint alone, and told when there are none."""

import asyncio
import sys
import time
from dataclasses import dataclass, field, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.generation import result_url
from imagegen_server.providers.azure import AzureSettings, settings

from tests.support.azure_api import KEY, TOKEN
from tests.support.azure_provider import MODEL, azure_workshop
from tests.support.generation import drawing, editing
from tests.support.pictures import png
from tests.support.tools import require_package
from tests.support.vendor import Answer, json_answer

ENTRA = AzureSettings(credential="entra")


@dataclass
class Identity:
    """Stands for azure-identity: what was asked, and what it says."""

    token: str = TOKEN
    problem: Exception | None = None
    scopes: list[tuple[str, ...]] = field(default_factory=list)
    asked: int = 0
    closed: int = 0

    def provider(self, _credential: object, *scopes: str) -> Any:
        """Stand for get_bearer_token_provider."""
        self.scopes.append(scopes)

        async def token() -> str:
            self.asked += 1
            await asyncio.sleep(0)
            if self.problem:
                raise self.problem
            return self.token

        return token

    async def close(self) -> None:
        """Be closed as a credential is."""
        self.closed += 1


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Identity:
    """Have azure-identity installed, or something like it."""
    made = Identity()
    module = ModuleType("azure.identity.aio")
    vars(module).update(
        DefaultAzureCredential=lambda: SimpleNamespace(close=made.close), get_bearer_token_provider=made.provider
    )
    for name in ("azure", "azure.identity"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "azure.identity.aio", module)
    monkeypatch.setattr(settings, "find_spec", lambda name: name)
    return made


async def test_a_token_is_sent_and_no_key(identity: Identity) -> None:
    """With drawings and forms alike, also if a key is there; it is for the usual scope, and closed in the end."""
    async with azure_workshop(ENTRA, key=KEY) as made:
        await asyncio.gather(
            made.workshop.result(drawing(MODEL)), made.workshop.result(editing(png(16, 16), model=MODEL))
        )
        assert identity.closed == 0

    assert [call.headers["authorization"] for call in made.fake.requests] == [f"Bearer {TOKEN}"] * 2
    assert all("api-key" not in call.headers for call in made.fake.requests)
    assert identity.scopes == [("https://cognitiveservices.azure.com/.default",)]
    assert (identity.asked, identity.closed) == (2, 1)


async def test_the_scope_may_be_another(identity: Identity) -> None:
    """Of a cloud of its own."""
    async with azure_workshop(replace(ENTRA, scope="https://cognitiveservices.azure.us/.default"), key="") as made:
        await made.workshop.result(drawing(MODEL))

    assert identity.scopes == [("https://cognitiveservices.azure.us/.default",)]


async def test_explaining_asks_for_no_token(identity: Identity) -> None:
    """Nothing is asked of anybody."""
    async with azure_workshop(ENTRA, key="") as made:
        await made.workshop.explained(drawing(MODEL))
        await made.workshop.explained(editing(png(16, 16), model=MODEL))

    assert identity.scopes == []
    assert identity.closed == 0


class CredentialUnavailableError(Exception):
    """As azure-identity has one."""


class ServiceRequestError(Exception):
    """As azure-core has one."""


class ServiceRequestTimeoutError(ServiceRequestError):
    """As azure-core has one."""


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (CredentialUnavailableError("tried a, b and c"), Reason.AUTHENTICATION_FAILED),
        (RuntimeError("a bug of somebody's"), Reason.AUTHENTICATION_FAILED),
        (ServiceRequestTimeoutError("login.example"), Reason.NETWORK_ERROR),
    ],
)
async def test_without_a_token_nothing_is_sent(identity: Identity, problem: Exception, reason: Reason) -> None:
    """It costs nothing, and the words of what was tried are not those of an error."""
    identity.problem = problem
    async with azure_workshop(ENTRA, key="") as made:
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (reason, Billed.NO)
    assert broken.failure.attempts[0].outcome in (AttemptOutcome.NOT_SENT, AttemptOutcome.REJECTED)
    assert type(problem).__name__ in broken.error.message
    assert str(problem) not in broken.error.message
    assert made.fake.requests == []


async def test_a_token_is_repeated_nowhere(identity: Identity) -> None:
    """Neither in an error of the vendor's, nor to who holds a picture."""
    identity.token = "a-token-that-the-vendor-repeats-0123456789"
    async with azure_workshop(ENTRA, key="") as made:
        refusal = json_answer(401, {"error": {"code": "401", "message": f"no access for {identity.token}"}})
        made.fake.answer_next(replace(refusal, checks=False))
        broken = await made.workshop.broken(drawing(MODEL))

    assert broken.error.message == "azure: no access for ***"


async def test_a_token_goes_to_the_endpoint_alone(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is elsewhere is fetched without it."""
    monkeypatch.setattr(result_url, "WAITS", ())
    async with azure_workshop(ENTRA, key="") as made:
        place = made.fake.endpoint + "files/1.png"
        file = Answer(200, {"content-type": "image/png"}, [png()], checks=False)
        made.fake.answer_next(json_answer(200, {"data": [{"url": place}]}), file)
        await made.workshop.result(drawing(MODEL))
    _, fetched = made.fake.requests

    assert fetched.path == "/files/1.png"
    assert "authorization" not in fetched.headers


@pytest.fixture
def credential(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the real package, with a credential that counts; returns the scopes that it was asked for."""
    aio, core = require_package("azure.identity.aio"), require_package("azure.core.credentials")
    asked: list[str] = []

    class Counting:
        async def get_token(self, *scopes: str, **_options: Any) -> Any:
            asked.extend(scopes)
            return core.AccessToken(TOKEN, int(time.time()) + 3600)

        async def close(self) -> None:
            asked.append("closed")

    monkeypatch.setattr(aio, "DefaultAzureCredential", Counting)
    return asked


async def test_the_package_keeps_a_token(credential: list[str]) -> None:
    """The real azure-identity: one token for all requests of an hour, side by side and one after the other."""
    async with azure_workshop(ENTRA, key="") as made:
        await asyncio.gather(*(made.workshop.result(drawing(MODEL)) for _ in range(3)))
        await made.workshop.result(drawing(MODEL))

    assert [call.headers["authorization"] for call in made.fake.requests] == [f"Bearer {TOKEN}"] * 4
    assert credential == ["https://cognitiveservices.azure.com/.default", "closed"]


async def test_the_package_tells_that_there_is_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real azure-identity on a machine without any: an error of authentication, and nothing is sent."""
    require_package("azure.identity")
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT", "MSI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    # The other ways would run the developer's own tools, or ask a network.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    async with azure_workshop(ENTRA, key="") as made:
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)
    assert made.fake.requests == []

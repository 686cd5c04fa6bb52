"""Whoever issues access tokens of Google Cloud, on a loopback port, and files of credentials that lead there.

As strict about what is asked as RFC 7523, RFC 6749 (6), RFC 8693 and the page on the metadata server.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .recording import RecordedRequest
from .tools import require_package
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

EMAIL = "painter@pictures-1234.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCE = "https://oauth2.googleapis.com/token"
"""Whom google-auth names in what it signs, wherever that is sent."""

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_SUBJECT = "token-of-the-pod"
_POOL = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/pods"
_MACHINE = "/computeMetadata/v1"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


class FakeIssuer(FakeVendor):
    """One loopback server. Tokens are numbered: "access-token-1", ...; `seconds` is how long the next ones hold."""

    def __init__(self) -> None:
        """Have issued nothing."""
        super().__init__()
        self.seconds = 3600
        self._numbers = count(1)

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        if call.path == "/token" and call.method == "POST":
            self._check_grant({name: value for name, (value,) in parse_qs(call.body.decode()).items()})
            return json_answer(200, {} if checks_only else self._token())
        if call.headers.get("metadata-flavor") != "Google":
            raise RefusalError(403, {})
        told = {"metadata-flavor": "Google"}
        if call.path.rstrip("/") == "":
            return Answer(200, told, [b"computeMetadata/"])
        if call.path == f"{_MACHINE}/project/project-id":
            return Answer(200, told | {"content-type": "application/text"}, [b"the-machines-own"])
        if call.path.endswith("/token"):
            return json_answer(200, self._token(), told)
        if call.path.startswith(f"{_MACHINE}/instance/service-accounts/default"):
            return json_answer(200, {"email": EMAIL, "scopes": [SCOPE], "aliases": ["default"]}, told)
        raise RefusalError(404, {})

    def _check_grant(self, asked: dict[str, str]) -> None:
        if asked.get("grant_type") == "refresh_token":
            if asked.get("refresh_token") != "refresh-1":
                raise RefusalError(400, {"error": "invalid_grant", "error_description": "Token has been revoked."})
            if "scope" in asked:
                raise RefusalError(400, {"error": "invalid_scope", "error_description": "Bad Request"})
            return
        if asked.get("grant_type") == _EXCHANGE:
            named = {"audience": _POOL, "scope": SCOPE, "subject_token": _SUBJECT}
            if {name: asked.get(name) for name in named} != named:
                raise RefusalError(400, {"error": "invalid_target", "error_description": "Invalid exchange."})
            return
        if asked.get("grant_type") != _JWT:
            raise RefusalError(400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})
        public = (
            _key()
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        try:
            claims = require_package("google.auth.jwt").decode(asked["assertion"], public, audience=_AUDIENCE)
        except ValueError:
            raise RefusalError(400, _refusal("Invalid JWT Signature.")) from None
        if (claims["iss"], claims["scope"]) != (EMAIL, SCOPE):
            raise RefusalError(400, _refusal("Invalid claims."))

    @property
    def url(self) -> str:
        """Where tokens are asked for."""
        return f"{self.base_url}/token"

    def _token(self) -> dict[str, Any]:
        token = f"access-token-{next(self._numbers)}"
        return {
            "access_token": token,
            "expires_in": self.seconds,
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }

    def service_account(self, place: Path, *, own_key: bool = True, **more: Any) -> str:
        """Write the key file of a service account. `own_key` False = a key that the issuer does not know."""
        key = _key() if own_key else rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        said = {
            "type": "service_account",
            "project_id": "another-project",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "token_uri": self.url,
        }
        return _written(place, said | more)

    def user(self, place: Path, refresh_token: str = "refresh-1") -> str:
        """Write what `gcloud auth application-default login` leaves. google-auth asks one host for users' tokens."""
        said = {
            "type": "authorized_user",
            "client_id": "c.apps.googleusercontent.com",
            "client_secret": "s",
            "refresh_token": refresh_token,
            "quota_project_id": "the-users-own",
        }
        return _written(place, said)

    def workload(self, place: Path) -> str:
        """Write what a workload outside of Google Cloud has: whom to ask, and where its own token lies."""
        (place / "subject").write_text(_SUBJECT, encoding="utf-8")
        said = {
            "type": "external_account",
            "audience": _POOL,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": self.url,
            "credential_source": {"file": str(place / "subject")},
        }
        return _written(place, said)


def _refusal(description: str) -> dict[str, str]:
    return {"error": "invalid_grant", "error_description": description}


def _written(place: Path, said: dict[str, Any]) -> str:
    path = place / "credentials.json"
    path.write_text(json.dumps(said), encoding="utf-8")
    return str(path)


def no_credentials(patch: pytest.MonkeyPatch, place: Path) -> None:
    """Have no Google Cloud of whoever runs the tests: variables, files, a machine's own account."""
    for name in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_CLOUD_LOCATION",
        "GOOGLE_CLOUD_QUOTA_PROJECT",
        "GOOGLE_API_KEY",
        "GEMINI_API_KEY",
    ):
        patch.delenv(name, raising=False)
    patch.setenv("CLOUDSDK_CONFIG", str(place / "gcloud"))
    patch.setenv("NO_PROXY", "127.0.0.1")
    metadata = require_package("google.auth.compute_engine._metadata")
    patch.setattr(metadata, "_NO_GCE_CHECK", True)


@asynccontextmanager
async def fake_issuer() -> AsyncIterator[FakeIssuer]:
    """Run a fake until the block ends."""
    async with running(FakeIssuer()) as fake:
        yield fake

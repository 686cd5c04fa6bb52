"""Who makes a call, by token or by certificate."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.caller import ANONYMOUS, Caller
from imagegen_server.domain.credentials import KnownCallers
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.rpc.callers import Authenticator, acting_for, certificate_names, current_caller

from tests.support.callers import TOKEN, hash_of
from tests.support.context import FakeContext

BILLING, BATCH = Caller("billing"), Caller("batch")
KNOWN = KnownCallers(
    tokens={bytes.fromhex(hash_of(TOKEN).removeprefix("sha256:")): BILLING},
    certificates={"batch.internal": BATCH, "spiffe://house/billing": BILLING},
)
EVERYBODY = KnownCallers(unlisted=True)


def identified(
    known: KnownCallers = KNOWN,
    *,
    token: str | None = None,
    metadata: Sequence[tuple[str, str]] = (),
    peer: Mapping[str, Sequence[bytes]] | None = None,
    tokens: bool = True,
) -> Caller:
    """Find out who makes a call with this metadata and, unless `peer` is None, this certificate."""
    given = [*metadata, *([("authorization", f"Bearer {token}")] if token is not None else [])]
    context = FakeContext(given_metadata=given, peer_facts=peer or {})
    authenticator = Authenticator(lambda: known, tokens=tokens, certificates=peer is not None)
    return authenticator.identify(cast("Any", context))


def stranger(known: KnownCallers = KNOWN, **given: Any) -> str:
    """Make a call that must be refused; returns what is said."""
    with pytest.raises(ImageError) as caught:
        identified(known, **given)
    assert caught.value.reason is Reason.CALLER_UNAUTHENTICATED
    return caught.value.message


def test_a_token_names_its_caller() -> None:
    """Whatever case the scheme is written in, and whatever else is in the metadata."""
    assert identified(token=TOKEN) is BILLING
    for scheme in ("bearer", "BEARER", "Bearer "):
        assert identified(metadata=[("x", "y"), ("authorization", f"{scheme} {TOKEN}")]) is BILLING


@pytest.mark.parametrize("token", ["", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), hash_of(TOKEN), "é\ud800"])
def test_a_wrong_token_is_refused_and_not_repeated(token: str) -> None:
    """Its hash is no token either, and neither is what cannot be written in UTF-8."""
    said = stranger(token=token)

    assert "token" in said
    assert len(token) < 3 or token not in said


@given(st.text(max_size=60).filter(lambda text: text.strip() != TOKEN))
def test_no_other_text_is_the_token(text: str) -> None:
    """Whatever stands after the scheme, the answer is a refusal and never a fault."""
    stranger(token=text)


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", TOKEN)],
        [("authorization", f"Basic {TOKEN}")],
        [("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}x")],
        [("x-authorization", f"Bearer {TOKEN}")],
    ],
    ids=["none", "bare", "basic", "twice", "elsewhere"],
)
def test_a_token_comes_once_and_as_bearer(metadata: list[tuple[str, str]]) -> None:
    """Every refusal says how it should be."""
    assert "Bearer TOKEN" in stranger(metadata=metadata)


@pytest.mark.parametrize(
    ("peer", "caller"),
    [
        ({"peer_dns": [b"batch.internal"], "x509_common_name": [b"anything"]}, BATCH),
        ({"peer_dns": [b"other.internal", b"batch.internal"]}, BATCH),
        ({"peer_uri": [b"spiffe://house/billing"], "peer_dns": [b"batch.internal"]}, BILLING),
        ({"x509_common_name": [b"batch.internal"]}, BATCH),
    ],
)
def test_a_certificate_names_its_caller(peer: Mapping[str, Sequence[bytes]], caller: Caller) -> None:
    """By a URI, by any DNS name, or by the common name of one that has neither."""
    assert identified(peer=peer) is caller


def test_a_common_name_beside_other_names_proves_nothing() -> None:
    """An authority vouches for the names in the extension; the common name beside them is decoration."""
    peer = {"peer_dns": [b"evil.internal"], "x509_common_name": [b"batch.internal"]}

    assert "evil.internal" in stranger(peer=peer)
    assert identified(EVERYBODY, peer=peer).name == "cert:evil.internal"


def test_no_other_kind_of_name_passes_for_a_uri() -> None:
    """A DNS name or a common name with a colon is no name."""
    for kind in ("peer_dns", "x509_common_name", "peer_email"):
        assert "no name" in stranger(peer={kind: [b"spiffe://house/billing"]})
        assert "no name" in stranger(EVERYBODY, peer={kind: [b"spiffe://house/billing"]})


def test_a_uri_does_not_pass_for_a_host() -> None:
    """OpenSSL takes any text for a URI; one without a scheme is none, and would look like a DNS name."""
    assert "no name" in stranger(peer={"peer_uri": [b"batch.internal"]})
    assert identified(peer={"peer_uri": [b"evil"], "peer_dns": [b"batch.internal"]}) is BATCH


@pytest.mark.parametrize("peer", [{}, {"x509_common_name": [b""]}, {"peer_dns": [b"\n"]}, {"peer_ip": [b"10.0.0.1"]}])
def test_a_certificate_without_a_name_names_nobody(peer: Mapping[str, Sequence[bytes]]) -> None:
    """Not even where every certificate is let in."""
    assert "no name" in stranger(EVERYBODY, peer=peer)


def test_an_unlisted_certificate_is_its_own_name() -> None:
    """Under a prefix that no caller of the file can have, and without limits; but only if that was allowed."""
    peer = {"peer_uri": [b"spiffe://house/x"], "peer_dns": [b"x.internal"]}

    assert identified(EVERYBODY, peer=peer, tokens=False) == Caller("cert:spiffe://house/x")
    assert "spiffe://house/x" in stranger(peer=peer)


def test_a_token_goes_before_the_certificate() -> None:
    """With both, the token names the caller; a wrong one is refused although the certificate is good."""
    peer = {"peer_dns": [b"batch.internal"]}

    assert identified(token=TOKEN, peer=peer) is BILLING
    stranger(token="wrong", peer=peer)


def test_a_token_means_nothing_to_a_server_without_tokens() -> None:
    """A client that always sends one is let in by its certificate."""
    assert identified(EVERYBODY, token="any", peer={"peer_dns": [b"a.b"]}, tokens=False).name == "cert:a.b"


def test_names_of_a_certificate_in_their_order() -> None:
    """URIs, then hosts; several of each stay in the order of the certificate."""
    peer = {"peer_dns": [b"a", b"b"], "peer_uri": [b"x:1", b"x:2"], "x509_common_name": [b"c"]}

    assert certificate_names(peer) == ["x:1", "x:2", "a", "b"]


def test_the_current_caller_is_that_of_the_block() -> None:
    """And nobody in particular outside of it."""
    with acting_for(BILLING):
        assert current_caller() is BILLING
    assert current_caller() is ANONYMOUS

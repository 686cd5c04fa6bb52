"""docs/imagegen.md says what the code does."""

import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import grpc
import imagegen
import pytest
from imagegen import _backoff
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.route import VIA
from imagegen_server.generation.catalogue import FRESH_SECONDS
from imagegen_server.generation.plan import LOOK_UP_SECONDS
from imagegen_server.providers.imagegen import PROVIDER, ImagegenSettings, errors, request
from imagegen_server.rpc.route import MOST_SERVERS
from imagegen_server.rpc.status import MAX_DETAILS_BYTES

from tests.parity.service import openai_service
from tests.support.docs_lines import block, run_lines
from tests.support.docs_page import Page
from tests.support.imagegen_provider import far_at
from tests.support.server import running_server

PAGE = Page("imagegen.md")
PATH = "docs/imagegen.md"
TRANSLATED = [
    (theirs, ours)
    for row in PAGE.rows("is nothing that yours can mend:\n")
    for theirs in row[0].split(", ")
    for ours in [row[1]]
]


def test_every_key_stands_on_the_page() -> None:
    """With its default."""
    told = {PAGE.names(row[0])[0]: json.loads(PAGE.names(row[1])[0]) for row in PAGE.rows("\n## Setting it up\n")}
    assert told == {item.name: item.default for item in fields(ImagegenSettings)}


def test_the_configuration_is_one() -> None:
    """Its table has keys that there are."""
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)
    table = tomllib.loads(block)["providers"]["far"]
    assert table.pop("type") == PROVIDER.name
    assert set(table.pop("api_key")) == {"file"}
    ImagegenSettings(**table)


def test_every_translation_stands_on_the_page() -> None:
    """And no other."""
    assert dict(TRANSLATED) == {theirs: ours.name for theirs, ours in errors._OF_A_CALLER.items()}


@pytest.mark.parametrize(("theirs", "ours"), TRANSLATED)
def test_what_the_server_says_of_its_caller_is_translated(theirs: str, ours: str) -> None:
    """Its provider's own word of the same name is not."""
    by_server = imagegen.ImageGenError("no", theirs, billed="no", metadata={"billed": "no"})
    by_provider = imagegen.ImageGenError("no", theirs, billed="no", metadata={"provider": "sandbox"})

    assert errors.error_of(by_server, "far").reason is Reason[ours]
    assert errors.error_of(by_provider, "far").reason is Reason[theirs]


@pytest.mark.parametrize(
    ("code", "reason", "billed"),
    [
        (grpc.StatusCode.UNAVAILABLE, "NETWORK_ERROR", "unknown"),
        (grpc.StatusCode.INTERNAL, "NETWORK_ERROR", "unknown"),
        (grpc.StatusCode.CANCELLED, "NETWORK_ERROR", "unknown"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "TIMEOUT", "unknown"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_ERROR", "unknown"),
        (grpc.StatusCode.UNIMPLEMENTED, "PROVIDER_ERROR", "no"),
        (grpc.StatusCode.UNAUTHENTICATED, "AUTHENTICATION_FAILED", "no"),
        (grpc.StatusCode.PERMISSION_DENIED, "AUTHENTICATION_FAILED", "no"),
    ],
)
def test_what_the_way_does_has_its_reason(code: grpc.StatusCode, reason: str, billed: str) -> None:
    """A bare status: a proxy's, or the transport's."""
    bare = {
        grpc.StatusCode.UNAVAILABLE: "NETWORK_ERROR",
        grpc.StatusCode.CANCELLED: "CANCELLED",
        grpc.StatusCode.DEADLINE_EXCEEDED: "TIMEOUT",
        grpc.StatusCode.UNAUTHENTICATED: "CALLER_UNAUTHENTICATED",
        grpc.StatusCode.PERMISSION_DENIED: "CALLER_NOT_ALLOWED",
    }
    error = errors.error_of(imagegen.ImageGenError("", bare.get(code, "UNSPECIFIED"), code), "far")

    assert (error.reason, error.billed) == (Reason[reason], Billed[billed.upper()])
    assert reason in {row[0].split(",")[0] for row in PAGE.rows("And what the way to it does:\n")}


def test_what_was_never_sent_is_free() -> None:
    """It may be sent again."""
    bare = imagegen.ImageGenError("", "NETWORK_ERROR", grpc.StatusCode.UNAVAILABLE, "no")
    error = errors.error_of(bare, "far")
    assert (error.reason, error.billed, error.sent) == (Reason.NETWORK_ERROR, Billed.NO, False)


def test_a_reason_that_is_newer_than_we_are_is_a_providers() -> None:
    """As error_reason.proto asks of clients."""
    newer = imagegen.ImageGenError("", "ERROR_REASON_99", billed="yes", metadata={"provider": "x", "http_status": "?"})
    error = errors.error_of(newer, "far")
    assert (error.reason, error.billed, error.http_status) == (Reason.PROVIDER_ERROR, Billed.YES, None)


async def test_the_params_of_the_page_reach_the_vendor(tmp_path: Path) -> None:
    """The call as it is written: through this server and the other one, a picture comes back."""
    async with openai_service() as service, running_server(far_at(service.server.address)) as near:
        ran = await run_lines(block(PATH, "Generate"), near.address, tmp_path)

    assert ran.status == 0, ran
    assert service.fake.requests[-1].json["moderation"] == "low"
    assert json.loads(ran.stdout)["model"] == "far/openai/gpt-image-2"


def test_the_numbers_are_true() -> None:
    """Times, sizes and servers."""
    assert f"at most {LOOK_UP_SECONDS:g} s" in PAGE.sentences
    assert FRESH_SECONDS == 600
    assert "for ten minutes" in PAGE.sentences
    assert f"more than {request._INLINE_BYTES >> 20} MiB together" in PAGE.sentences
    assert sum(_backoff.DELAYS) < 20
    assert "in about 20 s" in PAGE.sentences  # each try is made up to four times by the transport
    assert f"more than {MOST_SERVERS} of them" in PAGE.sentences
    assert f"`{VIA}`" in PAGE.sentences
    assert f"at {MAX_DETAILS_BYTES >> 10} KiB" in PAGE.sentences

"""What error_reason.proto promises of every reason is what the server does."""

import json
import re
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2
from imagegen.v1 import error_reason_pb2
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.rpc.status import CODES, code_of

PROTO = Path(__file__).parents[3] / "proto/imagegen/v1/error_reason.proto"

METADATA_KEYS = {
    "provider",
    "model",
    "stage",
    "billed",
    "http_status",
    "provider_code",
    "provider_request_id",
    "generation_id",
    "request_id",
}


def comments() -> dict[str, str]:
    """Read the comment of every value, as one line."""
    found, lines = {}, list[str]()
    for line in PROTO.read_text(encoding="utf-8").splitlines():
        if line.startswith("  // "):
            lines.append(line.removeprefix("  // ").strip())
        elif match := re.match(r"  ERROR_REASON_(\w+) = \d+;", line):
            found[match[1]] = " ".join(lines)
            lines = []
    del found["UNSPECIFIED"]
    return found


COMMENTS = comments()
SPECIAL = {"NETWORK_ERROR", "CONTENT_FILTERED"}
reasons = pytest.mark.parametrize("name", COMMENTS)


def promise(name: str) -> tuple[str, str]:
    """Take the code and the bill from a comment."""
    match = re.search(r"Code: (.+?)\. Billed: (.+?)\. Try again: ", COMMENTS[name])
    assert match is not None
    return match[1], match[2]


def test_every_value_has_a_comment() -> None:
    """The comments read here are those of all values that are ever sent."""
    assert set(COMMENTS) == {reason.name for reason in Reason}
    assert {f"ERROR_REASON_{name}" for name in COMMENTS} < set(error_reason_pb2.ErrorReason.keys())


def test_every_reason_has_a_code() -> None:
    """The code table is complete."""
    assert set(CODES) == set(Reason)


@pytest.mark.parametrize("name", sorted(set(COMMENTS) - SPECIAL))
def test_code_and_bill_are_those_of_the_comment(name: str) -> None:
    """A reason by itself has the code and the bill that its comment promises."""
    code, billed = promise(name)
    error = ImageError(Reason[name], "x")

    assert code_of(error) is CODES[Reason[name]] is grpc.StatusCode[code]
    assert error.billed.name.lower() == billed.split(" ")[0]


def test_network_error_has_two_codes() -> None:
    """UNAVAILABLE, which clients repeat by themselves, only if nothing was sent."""
    code, billed = promise("NETWORK_ERROR")
    assert code == "UNAVAILABLE if nothing was sent, INTERNAL if it may have been"
    assert re.match("no, or unknown if", billed)
    kept, sent = (ImageError(Reason.NETWORK_ERROR, "x", sent=sent) for sent in (False, True))

    assert (code_of(kept), kept.billed) == (grpc.StatusCode.UNAVAILABLE, Billed.NO)
    assert (code_of(sent), sent.billed) == (grpc.StatusCode.INTERNAL, Billed.UNKNOWN)


def test_content_filtered_has_two_bills() -> None:
    """Refused input is free, a refused picture may be billed; the code is the same."""
    assert promise("CONTENT_FILTERED") == (
        "INVALID_ARGUMENT",
        "no (metadata stage = input) or unknown (stage = output, or not told)",
    )
    before, after, untold = (ImageError(Reason.CONTENT_FILTERED, "x", stage=stage) for stage in ("input", "output", ""))

    assert (code_of(before), before.billed) == (grpc.StatusCode.INVALID_ARGUMENT, Billed.NO)
    assert (code_of(after), after.billed) == (grpc.StatusCode.INVALID_ARGUMENT, Billed.UNKNOWN)
    assert (code_of(untold), untold.billed) == (grpc.StatusCode.INVALID_ARGUMENT, Billed.UNKNOWN)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("billed", [Billed.UNKNOWN, Billed.YES])
def test_what_may_be_billed_is_never_unavailable(reason: Reason, billed: Billed) -> None:
    """Whatever the reason, the code that invites a retry is not given to a call that may have cost something."""
    assert code_of(ImageError(reason, "x", billed=billed)) is not grpc.StatusCode.UNAVAILABLE


@reasons
def test_the_example_is_the_error_info_of_its_reason(name: str) -> None:
    """It is the JSON of an ErrorInfo of our domain, with documented metadata only, billed as the reason usually is."""
    _, _, text = COMMENTS[name].partition("Example: ")
    info = ParseDict(json.loads(text), error_details_pb2.ErrorInfo())

    assert (info.reason, info.domain) == (f"ERROR_REASON_{name}", "imagegen")
    assert set(info.metadata) <= METADATA_KEYS
    assert info.metadata["billed"] in promise(name)[1]
    error = ImageError(Reason[name], "x", stage=info.metadata.get("stage", ""), sent=False)
    assert info.metadata["billed"] == error.billed.name.lower()

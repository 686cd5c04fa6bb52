"""Odd values in a provider's answer cost nobody the images that were paid for."""

import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, MessageToJson
from hypothesis import given, settings
from hypothesis import strategies as st
from imagegen_server.domain.capabilities import Capabilities, Model
from imagegen_server.domain.errors import Failure, ImageError, Reason
from imagegen_server.domain.events import Progress
from imagegen_server.domain.result import Usage, Warning, WarningReason
from imagegen_server.rpc.encode import failure_message, model_message, progress_message, result_message, text

from tests.support.values import attempt, generated, result

HALF = "half a \ud83d pair"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from([HALF, 10**400, math.nan]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("seed", [2**63, 2**64 - 1, -(2**63) - 1, 7.0])
def test_a_seed_that_is_no_int64_is_left_out(seed: Any) -> None:
    """Some vendors count to 2^64; the image comes all the same."""
    assert not result_message(result(generated(seed=seed))).images[0].HasField("seed")


@pytest.mark.parametrize("seed", [2**63 - 1, -(2**63), 0])
def test_a_seed_at_the_limits_is_told(seed: int) -> None:
    """The largest and the smallest int64 are seeds."""
    assert result_message(result(generated(seed=seed))).images[0].seed == seed


@pytest.mark.parametrize("count", [-1, 2**32, 10**30, 1.5])
def test_a_count_that_is_none_is_unknown(count: Any) -> None:
    """Usage, steps, queue and status that no field can hold are absent."""
    message = result_message(result(usage=Usage(count, count, count), attempts=(attempt(http_status=count),)))
    progress = progress_message(Progress(index=count, step=count, steps=count, queue_position=count), 0.0)

    assert MessageToDict(message.usage) == {}
    assert not message.attempts[0].HasField("http_status")
    assert MessageToDict(progress) == {"phase": "PHASE_GENERATING", "elapsed": "0s"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.5, 1e300])
def test_a_share_or_time_that_is_none_is_unknown(value: float) -> None:
    """A fraction is from 0 to 1, and what remains a time."""
    assert MessageToDict(progress_message(Progress(fraction=value, remaining=value), 0.0)) == {
        "phase": "PHASE_GENERATING",
        "elapsed": "0s",
    }


def test_text_that_is_no_unicode_is_mended() -> None:
    """Half a surrogate pair, as JSON may hold, becomes a question mark wherever a provider's words are written."""
    error = ImageError(Reason.PROVIDER_ERROR, HALF, provider_code=HALF, provider_request_id=HALF)
    message = result_message(
        result(
            generated(revised_prompt=HALF, metadata={"test": {HALF: HALF}}),
            failures=(Failure(1, error),),
            warnings=(Warning("x", WarningReason.IGNORED, HALF),),
            attempts=(attempt(provider_request_id=HALF),),
        )
    )

    mended = "half a ? pair"
    assert message.images[0].revised_prompt == mended
    assert MessageToDict(message.images[0].metadata["test"]) == {mended: mended}
    assert (message.failures[0].message, message.failures[0].metadata["provider_code"]) == (mended, mended)
    assert (message.warnings[0].message, message.attempts[0].provider_request_id) == (mended, mended)
    assert progress_message(Progress(message=HALF), 0.0).message == mended
    assert model_message(Model("any", Capabilities(), HALF), "test", [], 1).display_name == mended


@settings(deadline=None)
@given(st.dictionaries(st.text(st.characters(), max_size=5), json_values, max_size=4))
def test_any_metadata_can_be_written_and_printed(metadata: dict[str, Any]) -> None:
    """Whatever JSON a provider answers, the result can be sent, and printed as JSON by any client."""
    message = result_message(result(generated(metadata={"test": metadata}), metadata={"test": metadata}))

    MessageToJson(type(message).FromString(message.SerializeToString()))


def test_numbers_that_json_has_not_are_told_as_text() -> None:
    """Nothing is lost and nothing becomes another number."""
    values = {"nan": math.nan, "inf": -math.inf, "huge": 10**400, "half": 0.5}

    written = MessageToDict(result_message(result(metadata={"test": values})).metadata["test"])

    assert written == {"nan": "nan", "inf": "-inf", "huge": "1" + "0" * 400, "half": 0.5}


@pytest.mark.parametrize(
    ("value", "most", "expected"),
    [("abc", None, "abc"), ("abc", 2, "ab"), ("船船", 4, "船"), ("船", 2, ""), ("", 0, "")],
)
def test_text_is_cut_between_letters(value: str, most: int | None, expected: str) -> None:
    """A limit in bytes never leaves half a letter."""
    assert text(value, most) == expected


def test_failure_metadata_is_short_and_documented() -> None:
    """A provider's code of a megabyte does not travel whole, and keys that the contract does not know do not at all."""
    error = ImageError(Reason.TIMEOUT, "x", provider_code="c" * 10_000, metadata={"provider": "test", "secret": "y"})

    message = failure_message(Failure(0, error), "gen_1", "")

    assert dict(message.metadata) == {
        "provider": "test",
        "billed": "unknown",
        "provider_code": "c" * 200,
        "generation_id": "gen_1",
    }

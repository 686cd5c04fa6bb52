"""Writing what came of a generation: nothing known is lost, and nothing unknown is invented."""

from dataclasses import replace
from datetime import UTC, datetime

from google.protobuf.json_format import MessageToDict, MessageToJson
from imagegen.v1 import image_pb2
from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason
from imagegen_server.domain.events import Phase, Progress, Started
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.result import AttemptOutcome, Cost, Usage, Warning, WarningReason
from imagegen_server.rpc.encode import (
    failure_message,
    generated_message,
    generation_failure_message,
    image_message,
    model_message,
    preview_message,
    progress_message,
    result_message,
    started_message,
)

from tests.support.values import NOON, attempt, failed, generated, preview, result, stored

ERROR = ImageError(
    Reason.CONTENT_FILTERED,
    "refused",
    stage="output",
    http_status=400,
    provider_code="moderation_blocked",
    provider_request_id="req-1",
    metadata={"provider": "test", "model": "test/any"},
)
WARNING = Warning("options.seed", WarningReason.IGNORED, "no seeds")


def test_an_image_has_its_facts() -> None:
    """Id, expiry, type, sizes and hash; bytes only if they travel."""
    message = image_message(stored(10))

    assert (message.image_id, message.expire_time.ToDatetime(UTC)) == ("img_a_b", NOON)
    assert (message.media_type, message.width, message.height) == ("image/png", 8, 6)
    assert (message.size_bytes, message.sha256, message.data) == (10, "0" * 64, b"")


def test_unknown_facts_are_absent() -> None:
    """No width and height is not zero pixels."""
    message = image_message(replace(stored(), facts=ImageFacts("image/svg+xml", None, None, alpha=True)))

    assert not message.HasField("width")
    assert not message.HasField("height")


def test_a_generated_image_has_what_was_told_of_it() -> None:
    """Prompt, seed and metadata; an empty prompt and a zero seed are told, unknown ones are absent."""
    message = generated_message(generated(2, revised_prompt="", seed=0, metadata={"test": {"a": [1, None]}}))

    assert (message.index, message.HasField("revised_prompt"), message.HasField("seed")) == (2, True, True)
    assert MessageToDict(message.metadata["test"]) == {"a": [1.0, None]}
    bare = generated_message(generated())
    assert (bare.HasField("revised_prompt"), bare.HasField("seed"), len(bare.metadata)) == (False, False, 0)


def test_a_failure_has_the_metadata_of_its_error() -> None:
    """Reason, bill and the same keys as ErrorInfo, ids included."""
    message = failure_message(Failure(3, ERROR), "gen_1", "req_1")

    assert (message.index, message.reason, message.message) == (3, 7, "refused")
    assert message.billed == image_pb2.BILLED_UNKNOWN
    assert dict(message.metadata) == {
        "provider": "test",
        "model": "test/any",
        "stage": "output",
        "billed": "unknown",
        "http_status": "400",
        "provider_code": "moderation_blocked",
        "provider_request_id": "req-1",
        "generation_id": "gen_1",
        "request_id": "req_1",
    }


def test_a_result_has_everything() -> None:
    """Images with and without bytes, failures, usage, warnings, attempts and metadata survive the wire."""
    value = result(
        generated(0),
        generated(2),
        failures=(Failure(1, ERROR),),
        usage=Usage(2, 10, 0, Cost(0.25, "USD", estimated=True)),
        warnings=(WARNING,),
        attempts=(attempt(), attempt(outcome=AttemptOutcome.ACCEPTED, billed=Billed.YES, reason=None)),
        metadata={"test": {"created": 7}},
    )

    written = result_message(value, {"img_a_2": b"bytes"})
    message = image_pb2.ImageResult.FromString(written.SerializeToString())

    assert (message.generation_id, message.request_id, message.model) == ("gen_a_b", "req_a_b", "test/any")
    assert [(image.index, image.image.data) for image in message.images] == [(0, b""), (2, b"bytes")]
    assert [failure.index for failure in message.failures] == [1]
    assert message.failures[0].metadata["generation_id"] == "gen_a_b"
    assert (message.usage.images_generated, message.usage.input_tokens, message.usage.output_tokens) == (2, 10, 0)
    assert message.usage.cost == image_pb2.Cost(amount=0.25, currency="USD", estimated=True)
    (warning,) = message.warnings
    assert (warning.field, warning.reason, warning.message) == ("options.seed", 1, "no seeds")
    assert MessageToDict(message.metadata["test"]) == {"created": 7.0}
    first, second = message.attempts
    assert (first.provider, first.model, first.provider_request_id) == ("test", "test/any", "req-1")
    assert (first.outcome, first.billed, first.reason, first.http_status) == (3, 2, 9, 500)
    assert first.start_time.ToDatetime(UTC) == NOON
    assert first.duration.ToMilliseconds() == 1500
    assert (second.outcome, second.billed, second.reason) == (4, 3, 0)


def test_unknown_usage_is_absent() -> None:
    """No usage at all, no cost, no tokens: each is absent and never 0."""
    assert not result_message(result()).HasField("usage")
    usage = result_message(result(usage=Usage(images_generated=0))).usage
    assert usage.HasField("images_generated")
    assert not any(usage.HasField(name) for name in ("input_tokens", "output_tokens", "cost"))


def test_a_failed_generation_has_what_happened() -> None:
    """Ids, failures, attempts and usage."""
    value = replace(failed(Failure(0, ERROR), attempts=(attempt(http_status=None),)), usage=Usage(0))

    message = generation_failure_message(value)

    assert (message.generation_id, message.request_id) == ("gen_a_b", "req_a_b")
    assert [failure.reason for failure in message.failures] == [7]
    assert not message.attempts[0].HasField("http_status")
    assert message.usage.images_generated == 0
    assert not generation_failure_message(failed()).HasField("usage")


def test_a_start_has_its_warnings() -> None:
    """Ids, model and warnings of the first event."""
    message = started_message(Started("gen_1", "req_1", "test/any", (WARNING,)))

    assert (message.generation_id, message.request_id, message.model) == ("gen_1", "req_1", "test/any")
    assert [warning.field for warning in message.warnings] == ["options.seed"]


def test_progress_tells_what_is_known() -> None:
    """The phase and the time that has passed always; the rest only if known, zeros included."""
    message = progress_message(Progress(Phase.QUEUED, 0, 0.0, 0, 4, 0, 1.5, "test/any", "soon"), 2.25)

    assert MessageToDict(message) == {
        "phase": "PHASE_QUEUED",
        "index": 0,
        "fraction": 0.0,
        "step": 0,
        "steps": 4,
        "queuePosition": 0,
        "remaining": "1.500s",
        "model": "test/any",
        "message": "soon",
        "elapsed": "2.250s",
    }
    assert MessageToDict(progress_message(Progress(), 0.0)) == {"phase": "PHASE_GENERATING", "elapsed": "0s"}


def test_a_preview_has_facts_and_no_id() -> None:
    """A preview cannot be read again, and is not hashed."""
    message = preview_message(preview(1, 2, b"12345", {"test": {"step": 3}}))

    assert (message.index, message.number) == (1, 2)
    assert message.image == image_pb2.Image(media_type="image/png", width=8, height=6, size_bytes=5)
    assert MessageToDict(message.metadata["test"]) == {"step": 3.0}


def test_a_model_tells_what_it_can_do() -> None:
    """Every capability has its field; lists keep their order, options and aliases are sorted."""
    capabilities = Capabilities(
        generate=True,
        streaming=False,
        edit=True,
        max_images=4,
        max_count=8,
        max_input_images=2,
        mask=False,
        previews=PreviewSupport.IMAGES,
        options=frozenset({"seed", "format"}),
        sizes=("2x2", "1x1"),
        aspect_ratios=("16:9",),
        resolutions=("2K",),
        qualities=("low", "high"),
        backgrounds=("opaque",),
        formats=("png",),
    )
    retires = datetime(2027, 1, 31, tzinfo=UTC)

    message = model_message(Model("a/b", capabilities, "A b", known=False, retire_time=retires), "test", ["y", "x"], 16)

    assert (message.name, message.provider, message.display_name) == ("test/a/b", "test", "A b")
    assert (list(message.aliases), message.known) == (["x", "y"], False)
    assert message.retire_time.ToDatetime(UTC) == retires
    assert MessageToDict(message.capabilities) == {
        "generate": True,
        "streaming": False,
        "edit": True,
        "maxImages": 4,
        "maxCount": 8,
        "maxInputImages": 2,
        "mask": False,
        "previews": "PREVIEW_SUPPORT_IMAGES",
        "options": ["format", "seed"],
        "sizes": ["2x2", "1x1"],
        "aspectRatios": ["16:9"],
        "resolutions": ["2K"],
        "qualities": ["low", "high"],
        "backgrounds": ["opaque"],
        "formats": ["png"],
    }


def test_unknown_capabilities_are_absent() -> None:
    """Of a model of which nothing is known only the server's own limit is told."""
    message = model_message(Model("any", Capabilities()), "test", [], 16)

    assert MessageToDict(message.capabilities) == {"maxCount": 16}
    assert not message.HasField("retire_time")


def test_a_result_prints_as_json() -> None:
    """Tools that print JSON can print what the server writes."""
    assert "gen_a_b" in MessageToJson(result_message(result(generated(metadata={"test": {"a": 1}}))))

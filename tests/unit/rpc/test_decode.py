"""Reading requests: every documented limit, by the path of its field."""

from dataclasses import fields
from typing import Any

import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import Operation, Options, PixelSize
from imagegen_server.rpc.decode import Decoded, decode

from tests.support.calls import edit, generate
from tests.support.pictures import png

WORDS = ["aspect_ratio", "resolution", "quality", "background", "format"]


def read(request: image_service_pb2.GenerateRequest | image_service_pb2.EditRequest) -> Decoded:
    """Read a request as the stream forms do."""
    return decode(request, preview_default=2)


def violated(request: image_service_pb2.GenerateRequest | image_service_pb2.EditRequest) -> list[str]:
    """List the fields that are wrong."""
    return [violation.field for violation in read(request).violations]


def with_options(**options: Any) -> image_service_pb2.GenerateRequest:
    """Make a request with these options, given as the fields of the message."""
    request = generate()
    request.options.CopyFrom(image_pb2.ImageOptions(**options))
    return request


def test_a_plain_request_is_a_plain_wish() -> None:
    """Model and prompt are taken over, and nothing else is said."""
    found = read(generate("test/any", "ein Boot, 船"))

    wish = found.wish
    assert (wish.operation, wish.model, wish.prompt) == (Operation.GENERATE, "test/any", "ein Boot, 船")
    assert (wish.options, wish.images, wish.mask, wish.params) == (Options(), (), None, {})
    assert (wish.strict, wish.preview_default) == (False, 2)
    assert (found.violations, found.warnings) == ([], [])


def test_every_option_is_read() -> None:
    """Each field of ImageOptions has its option."""
    request = with_options(
        count=3,
        aspect_ratio="16:9",
        resolution="2K",
        quality="high",
        background="opaque",
        format="png",
        compression=0,
        seed=-(2**63),
        negative_prompt="fog",
        preview_count=0,
    )

    options = read(request).wish.options

    assert options == Options(
        3, None, "16:9", "2K", "high", "opaque", "png", 0, -(2**63), negative_prompt="fog", preview_count=0
    )
    assert read(with_options(size={"width": 640, "height": 480})).wish.options == Options(size=PixelSize(640, 480))
    assert len(fields(Options)) == len(image_pb2.ImageOptions.DESCRIPTOR.fields)


def test_empty_words_are_not_said() -> None:
    """An empty string is how the API says nothing; a zero is said."""
    assert read(with_options(quality="", negative_prompt="")).wish.options == Options()
    assert read(with_options(seed=0, compression=0)).wish.options == Options(seed=0, compression=0)


def test_strict_is_read() -> None:
    """The flag reaches the planner."""
    assert read(generate(strict=True)).wish.strict


@pytest.mark.parametrize("request_", [generate("", ""), image_service_pb2.GenerateRequest()], ids=["empty", "unset"])
def test_model_and_prompt_are_required(request_: image_service_pb2.GenerateRequest) -> None:
    """Both are told at once."""
    assert violated(request_) == ["model", "input.prompt"]


@pytest.mark.parametrize("letter", ["a", "é", "船"])
def test_the_prompt_is_limited_in_bytes(letter: str) -> None:
    """131,072 bytes of UTF-8 are good, one letter more is not, for the prompt and the negative one."""
    longest = letter * (131_072 // len(letter.encode()))

    assert violated(generate(prompt=longest)) == []
    assert violated(generate(prompt=longest + letter)) == ["input.prompt"]
    assert violated(with_options(negative_prompt=longest)) == []
    assert violated(with_options(negative_prompt=longest + letter)) == ["options.negative_prompt"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("letter", ["a", "船"])
def test_words_are_limited_in_characters(word: str, letter: str) -> None:
    """32 characters are good, however many bytes; 33 are not."""
    assert violated(with_options(**{word: letter * 32})) == []
    assert violated(with_options(**{word: letter * 33})) == [f"options.{word}"]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16_384, 16_384), (1, 16_384)])
def test_sizes_within_the_limits_are_good(width: int, height: int) -> None:
    """1 to 16,384 pixels a side."""
    assert violated(with_options(size={"width": width, "height": height})) == []


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (0, 0), (16_385, 1), (1, 16_385), (2**32 - 1, 1)])
def test_sizes_outside_the_limits_are_not(width: int, height: int) -> None:
    """One violation for the size, whichever side is wrong."""
    assert violated(with_options(size={"width": width, "height": height})) == ["options.size"]


def test_a_size_excludes_ratio_and_resolution() -> None:
    """Both beside a size are wrong; beside each other they are good."""
    assert violated(with_options(size={"width": 8, "height": 8}, aspect_ratio="1:1", resolution="1K")) == [
        "options.aspect_ratio",
        "options.resolution",
    ]
    assert violated(with_options(aspect_ratio="1:1", resolution="1K")) == []


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [("count", 1, 0), ("compression", 100, 101), ("preview_count", 16, 17), ("preview_count", 0, 2**32 - 1)],
)
def test_numbers_are_limited(option: str, good: int, bad: int) -> None:
    """The last good value is good, and the next one is not."""
    assert violated(with_options(**{option: good})) == []
    assert violated(with_options(**{option: bad})) == [f"options.{option}"]


@pytest.mark.parametrize("seed", [2**63 - 1, -(2**63), 2**53 + 1, 0])
def test_any_int64_is_a_seed(seed: int) -> None:
    """The option is no double: every seed arrives as it was given."""
    assert read(with_options(seed=seed)).wish.options.seed == seed


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("request_id", {"requestId": "3b2f 6a52"}),
        ("request_id", {"requestId": "\u00fc"}),
        ("request_id", {"requestId": "x" * 129}),
        ("on_disconnect", {"onDisconnect": 9}),
        ("retry.fallback_models[1]", {"retry": {"fallbackModels": ["test/other", ""]}}),
        ("retry.fallback_models", {"retry": {"fallbackModels": ["test/other"] * 9}}),
        ("delivery.mode", {"delivery": {"mode": 9}}),
        ("delivery.mode", {"delivery": {"mode": -1}}),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(field: str, fields: dict[str, Any]) -> None:
    """Ids that are none, empty names and enum values that nobody knows are refused rather than ignored."""
    assert violated(generate(**fields)) == [field]
    assert violated(edit(png(), **fields)) == [field]


@pytest.mark.parametrize(
    "fields",
    [
        {"onDisconnect": "ON_DISCONNECT_CANCEL"},
        {"delivery": {"mode": "DELIVERY_MODE_REFERENCE"}},
        {"delivery": {"mode": "DELIVERY_MODE_INLINE", "inlineLimitBytes": 2**32 - 1}},
        {"delivery": {}},
    ],
)
def test_what_is_done_is_taken(fields: dict[str, Any]) -> None:
    """The values of today are no violations."""
    assert violated(generate(**fields)) == []


def unknown(number: int, value: int = 1) -> bytes:
    """Encode a field that this server does not know."""
    return varint(number << 3) + varint(value)


def varint(value: int) -> bytes:
    """Encode a number as the wire does."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def test_unknown_fields_are_told_by_number_and_path() -> None:
    """At the top, in options, in each image of an edit, in its mask, and in delivery."""
    request = edit(png(), png(), mask=png())
    request.MergeFromString(unknown(4000))
    request.options.MergeFromString(unknown(42))
    request.options.size.MergeFromString(unknown(7))
    request.delivery.MergeFromString(unknown(99))
    request.input.MergeFromString(unknown(12))
    request.input.images[1].MergeFromString(unknown(11))
    request.input.mask.MergeFromString(unknown(10))

    warnings = read(request).warnings

    assert {warning.field for warning in warnings} == {
        "#4000",
        "options.#42",
        "options.size.#7",
        "delivery.#99",
        "input.#12",
        "input.images[1].#11",
        "input.mask.#10",
    }
    assert {warning.reason for warning in warnings} == {WarningReason.UNKNOWN_FIELD}


def test_params_and_metadata_are_not_searched_for_unknown_fields() -> None:
    """What lies in them is the provider's."""
    request = edit(png(), params={"test": {"style": {"deep": [1]}}})
    request.input.images[0].metadata["test"].update({"id": 1})

    assert read(request).warnings == []


def test_an_unknown_field_is_told_once_and_not_without_end() -> None:
    """A request of a million unknown fields does not become a million warnings."""
    repeated, many = generate(), generate()
    repeated.MergeFromString(unknown(50) * 1000)
    many.MergeFromString(b"".join(unknown(number) for number in range(100, 2000)))

    assert [warning.field for warning in read(repeated).warnings] == ["#50"]
    assert len(read(many).warnings) == 100


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """One reading finds it all."""
    request = with_options(count=0, compression=101, quality="x" * 33)
    request.model = ""
    request.input.prompt = ""
    request.request_id = "x y"

    assert set(violated(request)) == {
        "model",
        "input.prompt",
        "options.count",
        "options.compression",
        "options.quality",
        "request_id",
    }

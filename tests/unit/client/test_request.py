"""What a call says: options, parameters, settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Unpack

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from imagegen import AsyncClient, CallSettings, Image, ImageOptions, JsonInput, Size
from imagegen._options import options_to_proto
from imagegen._params import metadata_from_proto, params_to_proto
from imagegen._request import plain_wish
from imagegen.v1 import image_pb2, image_service_pb2


def request(**settings: Unpack[CallSettings]) -> image_service_pb2.GenerateRequest:
    """The request of a call with these settings."""
    return plain_wish("a/b").with_settings(settings).generate("a cat")


def test_every_option_has_its_field() -> None:
    """Each field of the API's ImageOptions can be said, under its own name."""
    names = {field.name for field in image_pb2.ImageOptions.DESCRIPTOR.fields}

    assert set(ImageOptions.__dataclass_fields__) == names
    assert names <= set(CallSettings.__annotations__)


def test_options_reach_the_request() -> None:
    """All options at once, as values of the API."""
    message = options_to_proto(
        ImageOptions(
            count=2,
            size=(640, 480),
            aspect_ratio="4:3",
            resolution="2K",
            quality="high",
            background="opaque",
            format="png",
            compression=0,
            seed=-(2**63),
            negative_prompt="rain",
            preview_count=0,
        )
    )

    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == {
        "count": 2,
        "size": {"width": 640, "height": 480},
        "aspect_ratio": "4:3",
        "resolution": "2K",
        "quality": "high",
        "background": "opaque",
        "format": "png",
        "compression": 0,
        "seed": str(-(2**63)),
        "negative_prompt": "rain",
        "preview_count": 0,
    }


def test_unset_options_stay_unset() -> None:
    """What is not said is the provider's business."""
    assert options_to_proto(ImageOptions()) == image_pb2.ImageOptions()


@pytest.mark.parametrize("size", ["1024x768", "1024X768", " 1024 x 768 ", (1024, 768)])
def test_size_in_words_or_numbers(size: Size) -> None:
    """A size may be written as people write it."""
    assert options_to_proto(ImageOptions(size=size)).size == image_pb2.PixelSize(width=1024, height=768)


@pytest.mark.parametrize("size", ["1024", "ax1", "1x", (1, 2, 3), (-1, 5), "99999999999x1", (1.5, 2)])
def test_what_is_no_size_is_refused_by_name(size: Size) -> None:
    """The error says which option is wrong."""
    with pytest.raises(ValueError, match=r"options\.size"):
        options_to_proto(ImageOptions(size=size))


def test_number_that_a_field_cannot_hold_is_refused_by_name() -> None:
    """A seed of more than 64 bits and a negative count are seen before anything is sent."""
    with pytest.raises(ValueError, match=r"options\.seed"):
        options_to_proto(ImageOptions(seed=2**63))
    with pytest.raises(ValueError, match=r"options\.count"):
        options_to_proto(ImageOptions(count=-1))


def test_later_wishes_go_first() -> None:
    """A call's own word goes before its options, and both before those of the model; None leaves what is there."""
    bound = plain_wish("a/b").with_settings({"quality": "low", "seed": 1, "format": "png"})

    wish = bound.with_settings({"options": ImageOptions(quality="high", seed=2), "seed": 3, "format": None})

    assert wish.options == ImageOptions(quality="high", seed=3, format="png")


def test_params_are_joined_by_key() -> None:
    """A call adds to the parameters of its model, provider by provider."""
    bound = plain_wish("a/b").with_settings({"params": {"openai": {"user": "x", "style": "a"}, "xai": {"k": 1}}})

    wish = bound.with_settings({"params": {"openai": {"style": "b"}}})

    assert wish.params == {"openai": {"user": "x", "style": "b"}, "xai": {"k": 1}}


def test_what_a_model_was_bound_with_stays_as_it_was() -> None:
    """Neither the caller's later changes of a mapping nor a call with settings of its own reach the other calls."""
    own = {"quality": "low"}
    bound = plain_wish("m").with_settings({"params": {"p": own}, "seed": 1})
    first = bound.generate("x")
    own["quality"] = "high"
    other = bound.with_settings({"params": {"p": {"n": 2}}, "seed": 2, "request_id": "r"}).generate("x")
    named = bound.with_settings({"request_id": "r"}).generate("x")

    assert bound.generate("x") == first
    assert (first.params["p"]["quality"], first.options.seed) == ("low", 1)
    assert (dict(other.params["p"]), other.options.seed) == ({"quality": "low", "n": 2}, 2)
    assert (named.params, named.options, named.request_id) == (first.params, first.options, "r")
    assert not bound.without_previews().generate("x").options.preview_count
    assert bound.without_previews().generate("x").options.HasField("preview_count")
    assert not bound.generate("x").options.HasField("preview_count")


def test_settings_reach_the_request() -> None:
    """Strictness and delivery are fields of the request; the rest of it stays unset."""
    asked = request(strict=True, delivery="reference")

    assert asked.strict
    assert asked.delivery.mode == image_pb2.DELIVERY_MODE_REFERENCE
    assert (asked.request_id, asked.on_disconnect, asked.HasField("retry")) == ("", 0, False)


def test_unknown_setting_is_a_type_error() -> None:
    """A misspelt wish is not dropped in silence."""
    with pytest.raises(TypeError, match="qualty"):
        request(qualty="high")  # type: ignore[call-arg]


def test_unknown_delivery_is_refused() -> None:
    """There are two deliveries."""
    with pytest.raises(ValueError, match="carrier pigeon"):
        request(delivery="carrier pigeon")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (2**53, "params.p.key"),
        (-(2**53) - 1, "params.p.key"),
        (10**400, "params.p.key"),
        (1e16, "params.p.key"),
        (math.nan, "params.p.key"),
        (-math.inf, "params.p.key"),
        ([1, {"deep": [2**53]}], "params.p.key[1].deep[0]"),
    ],
)
def test_numbers_that_a_double_cannot_hold_are_refused(value: JsonInput, path: str) -> None:
    """A number that would arrive damaged is refused, and the error names its key."""
    with pytest.raises(ValueError, match=r"arrives damaged|JSON cannot say") as caught:
        request(params={"p": {"key": value}})

    assert str(caught.value).startswith(f"{path} is ")


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_what_is_not_json_is_refused(value: object) -> None:
    """A value without a JSON form is refused, and the error names its key."""
    with pytest.raises(TypeError, match=r"params\.p\.key is not a JSON value"):
        request(params={"p": {"key": value}})  # type: ignore[dict-item]


def test_params_that_are_no_mapping_are_refused() -> None:
    """Parameters stand under a provider's name."""
    with pytest.raises(TypeError, match=r"params\.style must be a mapping"):
        request(params={"style": "vivid"})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="not text"):
        request(params={"p": {1: "x"}})  # type: ignore[dict-item]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(min_value=-1e15, max_value=1e15)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(json_values)
def test_json_survives_the_way(value: JsonInput) -> None:
    """Every JSON value that a double can hold comes back equal."""
    params: Mapping[str, Mapping[str, JsonInput]] = {"p": {"key": value}}

    assert metadata_from_proto(params_to_proto(params)) == params


def test_edit_puts_the_image_before_the_references() -> None:
    """The first image is the one that is changed."""
    one, two = Image.from_bytes(b"one"), Image.from_bytes(b"two")

    asked = plain_wish("a/b").edit("add a boat", [one, two], Image.from_id("img_mask"))

    assert [source.data for source in asked.input.images] == [b"one", b"two"]
    assert asked.input.mask.image_id == "img_mask"
    assert not plain_wish("a/b").edit("", [one], None).input.HasField("mask")


def test_settings_of_generation_reach_the_request() -> None:
    """Each of them is the field of its name; a call's own word goes before the model's."""
    bound = plain_wish("a/b").with_settings({"fallback_models": ["c/d"], "retry_ambiguous": True})
    wish = bound.with_settings(
        {
            "request_id": "mine",
            "on_disconnect": "cancel",
            "fallback_models": ("e/f", "draft"),
            "fallback_on_content_filtered": True,
        }
    )

    for message in (wish.generate("a cat"), wish.edit("a cat", [], None)):
        assert message.request_id == "mine"
        assert message.on_disconnect == image_pb2.ON_DISCONNECT_CANCEL
        assert message.retry == image_pb2.RetryPolicy(
            fallback_models=["e/f", "draft"], retry_ambiguous=True, fallback_on_content_filtered=True
        )


def test_what_is_not_said_of_retries_is_left_to_the_server() -> None:
    """No policy is not an empty one: that would undo the server's configuration; and an empty one can be said."""
    plain = request()

    assert not plain.HasField("retry")
    assert (plain.request_id, plain.on_disconnect) == ("", image_pb2.ON_DISCONNECT_UNSPECIFIED)
    assert request(fallback_models=[]).HasField("retry")
    assert request(retry_ambiguous=False).HasField("retry")
    assert request(on_disconnect="detach").on_disconnect == image_pb2.ON_DISCONNECT_DETACH


def test_settings_that_cannot_be() -> None:
    """A stream that is to be resumed cannot end with its connection; text is no list; words that there are not."""
    with pytest.raises(ValueError, match="cannot be resumed"):
        plain_wish("a/b").with_settings({"resumable": True}).with_settings({"on_disconnect": "cancel"})
    with pytest.raises(TypeError, match="fallback_models"):
        request(fallback_models="c/d")
    with pytest.raises(ValueError, match="on_disconnect"):
        request(on_disconnect="maybe")  # type: ignore[arg-type]


async def test_a_request_id_is_not_bound_to_a_model() -> None:
    """It names one call; the second one with it would be another wish."""
    with pytest.raises(ValueError, match="one call"):
        AsyncClient().image("a/b", request_id="mine")

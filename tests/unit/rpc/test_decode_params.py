"""Params reach a provider unmodified as JSON; what a double cannot hold exactly is refused."""

import math
from typing import Any

import pytest
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToJson, Parse
from hypothesis import given, settings
from hypothesis import strategies as st
from imagegen.v1 import image_service_pb2
from imagegen_server.rpc.decode import decode

from tests.support.calls import edit, generate
from tests.support.pictures import png

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**53), 2.0**53, exclude_min=True, exclude_max=True)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4)
    ),
    max_leaves=15,
)
json_objects = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), json_values, max_size=5)


def with_params(key: str = "test", **params: Any) -> image_service_pb2.GenerateRequest:
    """Make a request with params, numbers of any kind included."""
    request = generate()
    for name, value in params.items():
        request.params[key].fields[name].CopyFrom(value)
    return request


def number(value: float) -> struct_pb2.Value:
    """Make a number."""
    return struct_pb2.Value(number_value=value)


def violated(request: image_service_pb2.GenerateRequest) -> list[str]:
    """List the fields that are wrong."""
    return [violation.field for violation in decode(request, preview_default=0).violations]


def same(given: Any, read: Any) -> bool:
    """Compare JSON values as JSON does: true is no number, and an integral double is an integer."""
    if isinstance(given, dict):
        return isinstance(read, dict) and given.keys() == read.keys() and all(same(given[k], read[k]) for k in given)
    if isinstance(given, list):
        return isinstance(read, list) and len(given) == len(read) and all(map(same, given, read))
    if isinstance(given, float) and given.is_integer():
        return type(read) is int and given == read
    return type(given) is type(read) and given == read


@settings(deadline=None)
@given(json_objects)
def test_json_goes_through_unmodified(value: dict[str, Any]) -> None:
    """Every JSON object whose numbers a double holds exactly arrives as it was, on the wire and in protobuf's JSON."""
    request = generate()
    request.params["test"].update({})
    struct = request.params["test"]
    struct.update(value)
    on_the_wire = image_service_pb2.GenerateRequest.FromString(request.SerializeToString())
    as_json = Parse(MessageToJson(on_the_wire), image_service_pb2.GenerateRequest())

    for sent in (on_the_wire, as_json):
        found = decode(sent, preview_default=0)
        assert found.violations == []
        assert same(value, dict(found.wish.params["test"]))


@pytest.mark.parametrize("value", [2.0**53 - 1, -(2.0**53) + 1, 0.0, -0.0, 5.0, 2.0**31, 1e15])
def test_integral_numbers_are_integers(value: float) -> None:
    """A provider that wants 5 does not get 5.0."""
    (read,) = decode(with_params(n=number(value)), preview_default=0).wish.params["test"].values()

    assert type(read) is int
    assert read == value


@pytest.mark.parametrize("value", [0.1, -1e-300, 1234567.891, 5e-324])
def test_other_numbers_are_as_they_were(value: float) -> None:
    """A fraction is not rounded."""
    assert decode(with_params(n=number(value)), preview_default=0).wish.params == {"test": {"n": value}}


BAD = [2.0**53, float(2**53 + 1), -(2.0**53), 1e300, -1e300, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", BAD)
def test_numbers_that_may_have_been_damaged_are_refused(value: float) -> None:
    """From 2^53 in magnitude on, NaN and Infinity are refused by their path, at any depth."""
    nested = struct_pb2.Value()
    nested.struct_value.fields["list"].list_value.values.extend([number(1), number(value)])

    assert violated(with_params(n=number(value))) == ["params.test.n"]
    assert violated(with_params(deep=nested)) == ["params.test.deep.list[1]"]


@pytest.mark.parametrize("value", BAD)
def test_metadata_of_images_is_held_to_the_same(value: float) -> None:
    """What comes back from an earlier result is read by the same rules."""
    request = edit(png())
    request.input.images[0].metadata["test"].fields["n"].number_value = value

    found = [violation.field for violation in decode(request, preview_default=0).violations]

    assert found == ["input.images[0].metadata.test.n"]


def test_a_value_without_a_kind_is_refused() -> None:
    """An empty Value is a mistake of the caller's code and is not taken for null."""
    assert violated(with_params(n=struct_pb2.Value())) == ["params.test.n"]
    assert violated(with_params(n=struct_pb2.Value(null_value=struct_pb2.NULL_VALUE))) == []


def test_params_are_kept_by_their_keys() -> None:
    """Several providers, one of them with an empty object."""
    request = generate(params={"test": {"a": 1}, "other": {}})

    assert decode(request, preview_default=0).wish.params == {"test": {"a": 1}, "other": {}}


def test_bad_numbers_are_not_told_without_end() -> None:
    """A list of a million bad numbers does not become a million violations."""
    many = struct_pb2.Value()
    many.list_value.values.extend([number(math.nan)] * 5000)

    assert len(violated(with_params(many=many))) == 100

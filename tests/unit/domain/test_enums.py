"""The enums of the domain mirror those of the proto by name and number, and so do the fields of the options."""

from dataclasses import fields
from enum import Enum

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from imagegen.v1 import error_reason_pb2, image_pb2, image_stream_pb2, model_service_pb2
from imagegen_server.domain.capabilities import Capabilities, PreviewSupport
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Phase
from imagegen_server.domain.result import AttemptOutcome, WarningReason
from imagegen_server.domain.task import Options


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (Reason, error_reason_pb2.ErrorReason, "ERROR_REASON_"),
        (Billed, image_pb2.Billed, "BILLED_"),
        (AttemptOutcome, image_pb2.AttemptOutcome, "ATTEMPT_OUTCOME_"),
        (WarningReason, image_pb2.WarningReason, "WARNING_REASON_"),
        (Phase, image_stream_pb2.Phase, "PHASE_"),
    ],
)
def test_an_enum_mirrors_the_proto(ours: type[Enum], theirs: EnumTypeWrapper, prefix: str) -> None:
    """Every value that is ever sent is there under its own name and number, and no other."""
    sent = {name.removeprefix(prefix): number for name, number in theirs.items() if number}

    assert {value.name: value.value for value in ours} == sent


def test_preview_support_mirrors_the_proto() -> None:
    """Here the zero has a meaning, and a name of its own."""
    sent = {name.removeprefix("PREVIEW_SUPPORT_"): number for name, number in model_service_pb2.PreviewSupport.items()}
    sent["UNKNOWN"] = sent.pop("UNSPECIFIED")

    assert {value.name: value.value for value in PreviewSupport} == sent


def test_options_are_named_as_in_the_proto() -> None:
    """The options have the fields of ImageOptions, in its order."""
    assert [item.name for item in fields(Options)] == [field.name for field in image_pb2.ImageOptions.DESCRIPTOR.fields]


def test_capabilities_are_named_as_in_the_proto() -> None:
    """Every field of ModelCapabilities is known to the domain."""
    told = {field.name for field in model_service_pb2.ModelCapabilities.DESCRIPTOR.fields}

    assert told <= {item.name for item in fields(Capabilities)}

"""Frames of the websocket are read, or are none: whatever bytes come."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.events import Preview, Progress
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.providers.comfyui.frames import Picture, Told, read_frame
from imagegen_server.providers.comfyui.watch import Watch
from imagegen_server.providers.comfyui.workflow import read_workflow

from tests.support.comfyui_pictures import plain
from tests.support.comfyui_provider import WORKFLOWS, workflow

JPEG = plain({}, 0.5, 0)
WORKFLOW = read_workflow(str(WORKFLOWS / "drawing.json"), {})
CONTEXT = ErrorContext("comfyui", "host", 200, {}, "a boat", "")


def with_metadata(told: object, data: bytes = JPEG) -> bytes:
    """Write a frame of event 4."""
    metadata = json.dumps(told).encode()
    return struct.pack(">II", 4, len(metadata)) + metadata + data


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ('{"type": "status", "data": {"x": 1}}', Told("status", {"x": 1})),
        (struct.pack(">II", 1, 1) + JPEG, Picture(JPEG)),
        (struct.pack(">II", 1, 2) + JPEG, Picture(JPEG)),
        (with_metadata({"node_id": "3", "prompt_id": "p"}), Picture(JPEG, "3", "p")),
        (with_metadata({"node_id": 3}), Picture(JPEG)),
        (with_metadata([]), Picture(JPEG)),
        (struct.pack(">II", 4, 2**32 - 1) + b"{}", None),
        (struct.pack(">II", 4, 3) + b"{}", None),
        (struct.pack(">II", 3, 1) + b"3text", None),
        (struct.pack(">II", 1, 1) + b"no picture", None),
    ],
)
def test_both_kinds_of_pictures_are_read(frame: str | bytes, expected: object) -> None:
    """The bytes of a picture decide what it is; what is of another kind is none of ours."""
    assert read_frame(frame) == expected


SCALARS: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
KINDS = st.sampled_from(
    [
        *("status", "execution_start", "execution_cached", "executing", "executed", "progress", "progress_state"),
        *("execution_success", "of.tomorrow"),
    ]
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("node", "value", "max", "nodes", "status", "output"), VALUES),
        "prompt_id": st.just("p") | SCALARS,
    },
)
TEXTS = st.builds(lambda kind, data: json.dumps({"type": kind, "data": data}), KINDS, DATA)
BINARIES = st.builds(
    lambda event, word, rest: struct.pack(">II", event, word) + rest,
    st.integers(0, 5),
    st.integers(0, 2**32 - 1) | st.integers(0, 40),
    st.binary(max_size=40) | st.just(b'{"node_id": "3"}' + JPEG),
)


@given(frames=st.lists(st.text(max_size=40) | st.binary(max_size=40) | TEXTS | BINARIES, max_size=12))
def test_no_frame_is_a_fault_of_ours(frames: list[str | bytes]) -> None:
    """Whatever comes, in whatever order: what is shown of it can be told, and a fraction is one that grows."""
    task = Task(Operation.GENERATE, "castle", "a boat", Options(count=1, preview_count=3))
    watch = Watch(task, WORKFLOW, "p", CONTEXT)
    events = [event for frame in frames for event in watch.feed(frame)]
    fractions = [event.fraction for event in events if isinstance(event, Progress) and event.fraction is not None]

    assert fractions == sorted(fractions)
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert sum(isinstance(event, Preview) for event in events) <= 3
    assert all(event.data == JPEG for event in events if isinstance(event, Preview))
    for event in events:
        if isinstance(event, Progress):
            assert event.step is None or (event.steps and 0 <= event.step <= event.steps)
        json.dumps(getattr(event, "metadata", {}), allow_nan=False)


def test_samplers_are_told_by_their_classes() -> None:
    """The choice of a method alone samples nothing."""
    assert workflow("drawing").read().samplers == ("3",)
    assert workflow("flux").read().samplers == ("13",)
    assert workflow("inverting").read().samplers == ()

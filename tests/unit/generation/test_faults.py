"""Faults in the log."""

import pytest
from imagegen_server.generation.faults import describe_fault


def fail_deeply(depth: int) -> None:
    """Raise something with a secret in it."""
    if depth:
        fail_deeply(depth - 1)
    raise RuntimeError("a prompt that nobody may read")


def test_a_fault_is_described_without_its_text() -> None:
    """The type and the innermost frames are told; the text, which may hold a prompt or a key, is not."""
    with pytest.raises(RuntimeError) as caught:
        fail_deeply(20)

    described = describe_fault(caught.value)

    assert described["exception"] == "RuntimeError"
    frames = described["frames"]
    assert isinstance(frames, list)
    assert len(frames) == 8
    assert frames[-1].endswith("fail_deeply")
    assert "nobody may read" not in str(described)


def test_a_fault_that_was_never_raised_has_no_frames() -> None:
    """An exception without a traceback is described all the same."""
    assert describe_fault(ValueError("x")) == {"exception": "ValueError", "frames": []}

"""Describing an unexpected exception for the log."""

import traceback

_INNERMOST_FRAMES = 8


def describe_fault(fault: BaseException) -> dict[str, object]:
    """Tell the type and where it was raised, without its text, which may hold a prompt or a key."""
    frames = traceback.extract_tb(fault.__traceback__)[-_INNERMOST_FRAMES:]
    return {
        "exception": type(fault).__name__,
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }

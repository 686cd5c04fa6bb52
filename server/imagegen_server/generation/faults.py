"""What becomes of an exception: words for the log, and nothing that it holds."""

import traceback

_INNERMOST_FRAMES = 8


def describe_fault(fault: BaseException) -> dict[str, object]:
    """Tell the type and where it was raised, without its text, which may hold a prompt or a key."""
    frames = traceback.extract_tb(fault.__traceback__)[-_INNERMOST_FRAMES:]
    return {
        "exception": type(fault).__name__,
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def forget_frames(fault: BaseException) -> None:
    """Let go of the frames that an exception and its causes came through.

    They hold answers and pictures, and whoever keeps the exception in one of them, as libraries do, makes a circle that
    only the collector ends: after hundreds of megabytes.
    """
    seen: set[int] = set()
    left: list[BaseException | None] = [fault]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            left += (one.__cause__, one.__context__)

"""Who calls."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what the operator allows them. None = no limit.

    `name` is part of every key in the store. `models` are the models and aliases that may be used, as shell patterns
    ("openai/*", "draft"). `max_calls` is the most calls at a time, `images_per_minute` the most images asked for in any
    minute.
    """

    name: str
    models: tuple[str, ...] | None = None
    max_calls: int | None = None
    images_per_minute: int | None = None


ANONYMOUS = Caller("anonymous")
"""Everybody, while the server knows no callers."""

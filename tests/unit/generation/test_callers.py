"""What callers may use."""

import pytest
from imagegen_server.domain.caller import Caller
from imagegen_server.generation.callers import may_use, may_use_provider


@pytest.mark.parametrize(
    ("models", "asked", "model", "allowed"),
    [
        (None, "openai/gpt-image-2", "openai/gpt-image-2", True),
        ((), "openai/gpt-image-2", "openai/gpt-image-2", False),
        (("openai/*",), "openai/gpt-image-2", "openai/gpt-image-2", True),
        (("openai/*",), "draft", "openai/gpt-image-2", True),
        (("openai/*",), "openai2/gpt-image-2", "openai2/gpt-image-2", False),
        (("openai/*",), "OpenAI/gpt-image-2", "OpenAI/gpt-image-2", False),
        (("openrouter/*",), "openrouter/google/x", "openrouter/google/x", True),
        (("draft",), "draft", "openai/gpt-image-2", True),
        (("draft",), "openai/gpt-image-2", "openai/gpt-image-2", False),
        (("draft",), "other/draft", "other/draft", False),
        (("a/1", "b/2"), "b/2", "b/2", True),
        (("*",), "any/thing", "any/thing", True),
    ],
)
def test_models_are_allowed_by_name_or_by_alias(
    models: tuple[str, ...] | None, asked: str, model: str, allowed: bool
) -> None:
    """Whichever of the two the operator wrote down; what is only like it is not it."""
    assert may_use(Caller("c", models), asked, model) is allowed


@pytest.mark.parametrize(
    ("models", "allowed"),
    [
        (None, True),
        ((), False),
        (("a/*",), True),
        (("a/1",), True),
        (("b/*",), False),
        (("*/1",), True),
        (("x",), True),
    ],
)
def test_a_provider_is_told_of_where_one_of_its_models_may_be_used(
    models: tuple[str, ...] | None, allowed: bool
) -> None:
    """An alias may mean a model of any provider."""
    assert may_use_provider(Caller("c", models), "a") is allowed

"""What may be told of an answer that is a failure."""

import pytest
from imagegen_server.http.error_context import ErrorContext


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefgh",
        "xai-abcdefgh",
        "AIzaSyabcdefgh",
        "ya29.abcdefgh",
        "r8_abcdefgh",
        "ABSKQmVkcm9ja0FQSUtleS1hYmNk",
        "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3M",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
    ],
)
def test_what_looks_like_a_key_is_taken_out(secret: str) -> None:
    """Also one that is not of the request; the words around it stay."""
    context = ErrorContext("p", "vendor.example", 403, {}, "", "")

    assert context.clean(f"the key {secret} is wrong") == "the key *** is wrong"


def test_words_that_begin_like_a_key_stay() -> None:
    """Only what is as long as a key is one."""
    context = ErrorContext("p", "vendor.example", 403, {}, "", "")

    assert context.clean("ASIA and AKIA are regions") == "ASIA and AKIA are regions"

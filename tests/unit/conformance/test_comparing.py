"""Outcomes are compared with what a case expects."""

from typing import Any

import pytest

from tests.conformance.comparing import differences


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({}, {"a": 1}),
        ({"a": "*"}, {"a": "text"}),
        ({"a": "~ex"}, {"a": "text"}),
        ({"a": None}, {"b": 1}),
        ({"a": None}, {"a": ""}),
        ({"a": ""}, {"a": None}),
        ({"a": "9223372036854775807"}, {"a": "9223372036854775807"}),
        ({"a": 5}, {"a": "5"}),
        ({"a": "5"}, {"a": 5}),
        ({"a": 0.04}, {"a": 0.04}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}),
        ({"a": False}, {"a": False}),
    ],
)
def test_alike(expected: Any, actual: Any) -> None:
    """What is expected is there; the rest is not looked at."""
    assert list(differences(expected, actual, "")) == []


@pytest.mark.parametrize(
    ("expected", "actual", "where"),
    [
        ({"a": 1}, {}, "a is None"),
        ({"a": "*"}, {"a": ""}, "a is ''"),
        ({"a": "*"}, {}, "a is None"),
        ({"a": "~ex"}, {"a": "none"}, "a is 'none'"),
        ({"a": None}, {"a": 1}, "a is 1 and should be unset"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, "a.b has 1 elements instead of 2"),
        ({"a": [1]}, {"a": [2]}, "a[0] is 2"),
        ({"a": []}, {"a": [2]}, "a has 1 elements"),
        ({"a": True}, {"a": 1}, "a is 1"),
        ({"a": 0}, {"a": False}, "a is False"),
        ({"a": {"b": 1}}, {}, "a is None"),
        ({"a": "9223372036854775807"}, {"a": "9223372036854775806"}, "a is"),
    ],
)
def test_different(expected: Any, actual: Any, where: str) -> None:
    """A difference is told with its path."""
    (problem,) = list(differences(expected, actual, ""))[:1]

    assert problem.startswith(where)

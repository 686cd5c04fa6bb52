"""Secrets are held, and never shown by accident."""

import copy
import json
import pickle

import pytest
from imagegen_server.domain.secret import Secret

KEY = "sk-Never-To-Be-Shown"


def test_a_secret_gives_its_text_to_whoever_asks_for_it() -> None:
    """One word in the code says where it leaves."""
    assert Secret(KEY).reveal() == KEY


def test_no_way_of_writing_shows_it() -> None:
    """By itself, in containers, and by every kind of formatting."""
    secret = Secret(KEY)

    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", "%s %r" % (secret, secret)):  # noqa: UP031
        assert KEY not in shown
        assert "***" in shown
    assert KEY not in repr([secret, {"key": secret}])
    assert KEY not in str(ValueError("no use", secret))
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_does_not_leave_the_process_in_a_copy(leave: object) -> None:
    """What is written to a file or another process would be readable there."""
    assert callable(leave)
    with pytest.raises(TypeError) as caught:
        leave(Secret(KEY))
    assert KEY not in str(caught.value)


def test_it_is_no_json() -> None:
    """A log line or an answer that it was put into fails, or shows nothing of it."""
    with pytest.raises(TypeError):
        json.dumps({"key": Secret(KEY)})
    assert KEY not in json.dumps({"key": Secret(KEY)}, default=str)


def test_secrets_are_equal_by_their_text() -> None:
    """To another secret; a text is none."""
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY), Secret("other")}) == 2

"""How long a provider asks to wait."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.http.retry_after import MOST_SECONDS, retry_after, wait_in_text

_NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("5", 5),
        (" 5\t", 5),
        ("007", 7),
        ("2.5", 2.5),
        ("2.", 2),
        (".5", 0.5),
        ("0.30000000000000004", 0.3),
        ("-1", 0),
        ("-0.5", 0),
        ("3600", 3600),
        ("3601", 3600),
        ("999999999999999", 3600),
        ("Sun, 22 Nov 2026 12:00:20 GMT", 20),
        ("Sunday, 22-Nov-26 12:00:20 GMT", 20),
        ("Sun Nov 22 12:00:20 2026", 20),
        (" sun, 22 nov 2026 12:00:20 gmt ", 20),
        ("Sun, 22 Nov 2026 11:59:59 GMT", 0),
        ("Tue, 24 Nov 2026 12:00:00 GMT", 3600),
        ("Sun, 22 Nov 2026 12:00:60 GMT", 60),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    """Seconds, decimals, the three forms of an HTTP date; nothing below 0 or above the cap."""
    assert retry_after({"retry-after": value}, _NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        *[
            "",
            " ",
            "-",
            ".",
            "soon",
            "nan",
            "inf",
            "-inf",
            "Infinity",
            "1e3",
            "0x10",
            "1_000",
            "5s",
            "5, 5",
            "+5",
            "--5",
        ],
        *["٣", "\uff15", "²", "1\n2", "9" * 16, "9" * 5000, "1." + "0" * 5000, "\0"],
        *["Sun, 22 Nov 2026", "12:00:00", "2026-11-22T12:00:20Z", "Sun, 22 Nov 2026 12:00:20 +0100"],
        *["Sun, 31 Feb 2026 12:00:00 GMT", "Sun, 22 Foo 2026 12:00:00 GMT", "Sun, 22 Nov 2026 24:00:00 GMT"],
        *["Sun, 22 Nov 2026 12:60:00 GMT", "Sun, 22 Nov 2026 12:00:61 GMT", "Sun, 22 Nov 0000 12:00:00 GMT"],
        *["Fri, 31 Dec 9999 23:59:60 GMT", "Sun, ٢٢ Nov 2026 12:00:00 GMT", "Sun, 00 Nov 2026 12:00:00 GMT"],
        *["Sun, 22 Nov 2026 12:00:20 GMT or so", "\u017fun, 22 Nov 2026 12:00:20 GMT"],
    ],
)
def test_nonsense_is_no_wait(value: str) -> None:
    """Neither a wait nor an exception comes of what is no time."""
    assert retry_after({"retry-after": value}, _NOW) is None
    assert retry_after({"retry-after-ms": value}, _NOW) is None


@pytest.mark.parametrize(
    ("now", "year", "seconds"),
    [
        (2026, "26", 10),
        (2026, "27", 3600),
        (2026, "76", 3600),
        (2026, "77", 0),
        (2026, "69", 3600),
        (2026, "25", 0),
        (2099, "05", 3600),
        (2099, "98", 0),
    ],
)
def test_two_digits_of_a_year(now: int, year: str, seconds: float) -> None:
    """More than 50 years ahead is the past (RFC 9110, 5.6.7), whatever the century of today."""
    moment = datetime(now, 6, 1, tzinfo=UTC)

    assert retry_after({"retry-after": f"Monday, 01-Jun-{year} 00:00:10 GMT"}, moment) == seconds


def test_now_may_have_any_zone() -> None:
    """An aware time is a moment, and without one the present counts."""
    berlin = datetime(2026, 11, 22, 13, 0, 0, tzinfo=timezone(timedelta(hours=1)))
    soon = datetime.now(UTC) + timedelta(seconds=1000)

    assert retry_after({"retry-after": "Sun, 22 Nov 2026 12:00:20 GMT"}, berlin) == 20
    assert retry_after({"retry-after": format_datetime(soon, usegmt=True)}) == pytest.approx(970, abs=30)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "0.5"}, 0.0005),
        ({"retry-after-ms": "-3"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "0", "retry-after": "7"}, 0),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after-ms": "Sun, 22 Nov 2026 12:00:20 GMT"}, None),
        ({"retry-after-ms": "99999999999"}, 3600),
    ],
)
def test_milliseconds_win(headers: dict[str, str], seconds: float | None) -> None:
    """The finer header counts, unless it is nonsense."""
    assert retry_after(headers, _NOW) == seconds


def _limits(requests: tuple[str, str], tokens: tuple[str, str] = ("1", "9s")) -> dict[str, str]:
    return {
        "x-ratelimit-remaining-requests": requests[0],
        "x-ratelimit-reset-requests": requests[1],
        "x-ratelimit-remaining-tokens": tokens[0],
        "x-ratelimit-reset-tokens": tokens[1],
    }


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (_limits(("0", "1s")), 1),
        (_limits(("0", "6m0s")), 360),
        (_limits(("0", "15ms")), 0.015),
        (_limits(("0", "1h2m3s")), 3600),
        (_limits(("0", "59m59.5s")), 3599.5),
        (_limits(("0", "2m3s4ms")), 123.004),
        (_limits((" 0 ", " 1s ")), 1),
        (_limits(("0", "1s"), ("0", "6m0s")), 360),
        (_limits(("0", "6m0s"), ("0", "1s")), 360),
        (_limits(("0", "nonsense"), ("0", "1s")), 1),
        (_limits(("1", "5s"), ("2", "6s")), None),
        (_limits(("00", "5s")), None),
        (_limits(("", "5s")), None),
        ({"x-ratelimit-reset-requests": "5s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        *[
            (_limits(("0", text)), None)
            for text in ["", "s", "1", "-1s", "1s!", "1s1s", "3s2m", "1x", "٣s", "9" * 400 + "s"]
        ],
        (_limits(("0", "5s")) | {"retry-after": "7"}, 7),
        (_limits(("0", "5s")) | {"retry-after-ms": "7"}, 0.007),
        (_limits(("0", "5s")) | {"retry-after": "soon"}, None),
    ],
)
def test_resets_of_what_is_used_up(headers: dict[str, str], seconds: float | None) -> None:
    """Only where nothing remains, the longest, and only if no header names the wait itself."""
    assert retry_after(headers, _NOW) == (seconds if seconds is None else pytest.approx(seconds))


def test_headers_of_httpx() -> None:
    """Their names have no case."""
    assert retry_after(httpx.Headers({"Retry-After": "7"})) == 7
    assert retry_after(httpx.Headers({"Retry-After-Ms": "7"})) == 0.007
    assert retry_after(httpx.Headers({"X-RateLimit-Remaining-Tokens": "0", "X-RateLimit-Reset-Tokens": "7s"})) == 7


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 15ms.", 0.015),
        ("try again in 1m2.5s", 62.5),
        ("in 20s", 20),
        ("after 20 seconds", 20),
        ("In 20s, once more.", 20),
        ("Rate limited. After 20 seconds you may go on.", 20),
        ("retry in 2 minutes", 120),
        ("wait 3 hours", 3600),
        ("wait 30 minutes", 1800),
        ("Wait at least 20 seconds before the next request", 20),
        ("Please wait for another 5 sec.", 5),
        ("You can retry your request after 20 seconds", 20),
        ("Please try your request again in 20s", 20),
        ("Please try again later, in 20s", None),
        ("Please try again later in about 1 minute", 60),
        ("RETRY AFTER 20 SECONDS", 20),
        ("Retry-After: 20s", 20),
        ('{"retryDelay": "34.4s"}', 34.4),
        ("Your quota will reset after 3m12s.", 192),
        ("The limit resets in 1 hour", 3600),
        ("available in 23 seconds", 23),
        ("wait time is 4s", 4),
        ("try again in 1 minute and 30 seconds", 90),
        ("try again in 1 minute, 30 seconds", 90),
        ("try again in 1m 30s", 90),
        ("try again in 2 mins", 120),
        ("try again in 1 hr", 3600),
        ("try again in 100 milliseconds", 0.1),
        ("try again in 2 days", 3600),
        ("try again in 20s, 5m tokens are used", 20),
        ("try again in\n20s", 20),
        (
            "Rate limit reached in organization org-1: Limit 5, Used 5. Please try again in 12s. See https://x.test/5s.",
            12,
        ),
        ("After 30 seconds it stopped. Please try again in 5s.", 5),
        ("It took 40s after 30 seconds. Please try again in 5s, not in 7s.", 5),
    ],
)
def test_waits_that_messages_state(message: str, seconds: float | None) -> None:
    """The forms of the vendors, with any other number around them."""
    assert wait_in_text(message) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Please try again later.",
        "Rate limit exceeded: 5 images in 60 seconds.",
        "Too many requests in 60 seconds",
        "You made 10 requests in 1 minute. Please try again later.",
        "The request timed out after 20 seconds",
        "Timed out after waiting 20 seconds",
        "It failed again after 20 seconds",
        "connection reset after 20 seconds",
        "We waited 30 seconds",
        "Retry after 3 attempts",
        "retry after 20",
        "try again in 5 models",
        "try again in 5 megabytes",
        "try again in 2x",
        "try again in -5s",
        "try again in ٣s",
        "try again in 12345678901234567s",
        "retry in 2026-11-22",
        "gpt-image-1 10s",
        "images per min: 5",
    ],
)
def test_other_numbers_are_no_wait(message: str) -> None:
    """Limits, windows, time-outs and counts are not taken for a wait."""
    assert wait_in_text(message) is None


def test_only_the_beginning_of_a_message_is_searched() -> None:
    """A wait that starts within 2000 characters is read whole, one behind them is not."""
    assert wait_in_text("." * 1984 + "try again in 15ms") == 0.015
    assert wait_in_text("." * 2000 + "try again in 15ms") is None


@pytest.mark.parametrize(
    "piece",
    [
        "try again ",
        "try a ",
        "wait at least ",
        "wait for ",
        "in ",
        "in 1",
        "wait 1h ",
        "1",
        " ",
        "a ",
        "retry=-'",
        ".in 1 ",
    ],
)
@pytest.mark.parametrize("start", ["", "wait ", "try again in ", "retry in 1h1m"])
def test_hostile_messages_end(piece: str, start: str) -> None:
    """Millions of repetitions of what nearly fits are given up on: the search would not end before the test's limit."""
    wait = wait_in_text(start + piece * 1_000_000)

    assert wait is None or 0 <= wait <= MOST_SECONDS


@given(st.integers(-10_000, 10_000))
def test_seconds_and_dates_say_the_same(seconds: int) -> None:
    """Any number of seconds comes back from each way to write it; the writers of dates are Python's own."""
    wait = min(max(seconds, 0), MOST_SECONDS)
    then = _NOW + timedelta(seconds=seconds)

    assert retry_after({"retry-after": str(seconds)}, _NOW) == wait
    assert retry_after({"retry-after-ms": str(seconds * 1000)}, _NOW) == wait
    assert retry_after({"retry-after": format_datetime(then, usegmt=True)}, _NOW) == wait
    assert retry_after({"retry-after": f"{then:%A, %d-%b-%y %H:%M:%S GMT}"}, _NOW) == wait
    assert retry_after({"retry-after": then.ctime()}, _NOW) == wait


@given(st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_are_read_as_they_are_written(minutes: int, seconds: int, milliseconds: int) -> None:
    """As parts and as decimals, in headers and in messages."""
    wait = pytest.approx(minutes * 60 + seconds + milliseconds / 1000)
    for text in (f"{minutes}m{seconds}s{milliseconds}ms", f"{minutes}m{seconds}.{milliseconds:03}s"):
        assert retry_after(_limits(("0", text)), _NOW) == wait
        assert wait_in_text(f"Limit 5, Used 5. Please try again in {text}. See 7s.") == wait


_WORDS = st.sampled_from(
    [
        *["in", "after", "wait", "retry", "try again", "1", "2.5", "s", "ms", "hours", ".", ",", "-", ":", "\n", "٣"],
        "nan",
    ]
)
_TEXTS = st.text(max_size=60) | st.lists(_WORDS | st.sampled_from(["", " "]), max_size=30).map("".join)


@given(_TEXTS, _TEXTS, st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens"]))
def test_any_text_is_survived(text: str, other: str, name: str) -> None:
    """Nothing raises, and every answer is a wait within the bounds or none."""
    headers = {"x-ratelimit-remaining-tokens": "0", "retry-after-ms": other, name: text}
    if name == "x-ratelimit-reset-tokens":
        del headers["retry-after-ms"]
    for wait in (retry_after(headers, _NOW), wait_in_text(text)):
        assert wait is None or 0 <= wait <= MOST_SECONDS

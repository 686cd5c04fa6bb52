"""How long a provider asks to wait, from the headers or the message of its answer."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

MOST_SECONDS = 3600.0
"""The longest wait that is passed on, in seconds. Who is told of days comes back in an hour and asks again."""

_TEXT_CHARACTERS = 2000
_RFC850_YEARS_AHEAD = 50

# Bounded, so that nothing here overflows; more digits than this are no number of seconds.
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{0,30})?"
_SIGNED_NUMBER = re.compile(rf"-?(?:{_NUMBER}|\.[0-9]{{1,30}})")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-5][0-9]|60)"
_HTTP_DATES = tuple(
    re.compile(form, re.IGNORECASE | re.ASCII)
    for form in (
        rf"[a-z]{{3}}, (?P<day>[0-9]{{1,2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"[a-z]{{6,9}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"[a-z]{{3}} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)
"""IMF-fixdate, RFC 850 and asctime."""

_UNITS = {
    "d": (86_400.0, r"d|days?"),
    "h": (3600.0, r"h|hrs?|hours?"),
    "m": (60.0, r"m|mins?|minutes?"),
    "s": (1.0, r"s|secs?|seconds?"),
    "ms": (0.001, r"ms|msecs?|millis(?:econds?)?|milliseconds?"),
}
_PART = re.compile(
    rf"(?:,? (?:and )?)?(?P<number>{_NUMBER})[ -]?"
    rf"(?:{'|'.join(f'(?P<{unit}>{names})' for unit, (_, names) in _UNITS.items())})(?![a-z])",
    re.IGNORECASE | re.ASCII,
)

# "failed again after 20 seconds" and "connection reset after 20 seconds" ask for no wait.
_ANCHORS = r"try(?: [a-z]+){0,3} again|(?:come|check) back|retry(?:delay)?|wait|available|resets|(?:will|be) reset"
_FILLERS = (
    r"in|after|for|at least|about|around|approximately|roughly|up to|another|a further|later|again|"
    r"(?:time|delay)(?: is| of)?|(?:your|this|the) request"
)
_STATED = (
    re.compile(
        rf"\b(?:{_ANCHORS})\b(?:[\s:=\"'-]{{1,4}}(?:{_FILLERS})\b){{0,4}}[\s:=\"'~]{{1,4}}(?=[0-9])",
        re.IGNORECASE | re.ASCII,
    ),
    # Without such a word only where a sentence starts: neither "timed out after 20 seconds" nor "5 in 60 seconds".
    re.compile(r"(?:^|[.;:!?\n])[ ]{0,2}(?:in|after) (?=[0-9])", re.IGNORECASE | re.ASCII),
)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Tell the seconds to wait, 0 to MOST_SECONDS; None if the headers do not say. Never raises.

    `headers` are looked up by lower-case names. `now` is aware and by default the present. The first that holds:

    - `retry-after-ms`: milliseconds (OpenAI);
    - `retry-after`: seconds, also with decimals, or an HTTP date (RFC 9110, 10.2.3 and 5.6.7);
    - if neither is there, the longest `x-ratelimit-reset-{requests,tokens}` ("6m0s") of what has
      `x-ratelimit-remaining-{requests,tokens}` 0: the other resets say nothing about this refusal.

    What is negative or past is 0; what is no time is as if it were not there.
    """
    milliseconds, seconds = headers.get("retry-after-ms"), headers.get("retry-after")
    if milliseconds is None and seconds is None:
        return _clamped(_reset_of_what_is_used_up(headers))
    wait = _number(milliseconds or "", 1000)
    if wait is None and seconds is not None:
        wait = _number(seconds, 1)
        if wait is None:
            wait = _until(seconds.strip(), now or datetime.now(UTC))
    return _clamped(wait)


def wait_in_text(message: str) -> float | None:
    """Find the wait that a message of a provider states, in seconds, 0 to MOST_SECONDS; None if it states none.

    Reads "try again in 15ms", "in 1m2.5s", "after 20 seconds", "wait 3 hours". Any other number, durations of something
    else included, is no wait. Only the first 2000 characters are searched. Never raises.
    """
    for stated in _STATED:
        for match in stated.finditer(message, 0, _TEXT_CHARACTERS):
            wait, _ = _duration(message, match.end())
            if wait is not None:
                return _clamped(wait)
    return None


def _clamped(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(seconds, 0.0), MOST_SECONDS)


def _number(text: str, divisor: int) -> float | None:
    match = _SIGNED_NUMBER.fullmatch(text.strip())
    return float(match[0]) / divisor if match else None


def _until(text: str, now: datetime) -> float | None:
    match = next((match for form in _HTTP_DATES if (match := form.fullmatch(text))), None)
    if match is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == len("YY"):
        year = _full_year(year, now.year)
    try:
        minute = datetime(
            year,
            _MONTHS.index(match["month"].lower()) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            tzinfo=UTC,
        )
        # Added, as a leap second is no second of a datetime.
        return (minute + timedelta(seconds=int(match["second"])) - now).total_seconds()
    except (ValueError, OverflowError):
        return None


def _full_year(two_digits: int, this_year: int) -> int:
    """Take the year that is at most 50 years ahead, else the last one that ended so (RFC 9110, 5.6.7)."""
    past = this_year - (this_year - two_digits) % 100
    return past + 100 if past + 100 <= this_year + _RFC850_YEARS_AHEAD else past


def _reset_of_what_is_used_up(headers: Mapping[str, str]) -> float | None:
    waits = []
    for kind in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0":
            text = headers.get(f"x-ratelimit-reset-{kind}", "").strip()
            wait, end = _duration(text, 0)
            if wait is not None and end == len(text):
                waits.append(wait)
    return max(waits, default=None)


def _duration(text: str, start: int) -> tuple[float | None, int]:
    """Read "1h2m3s" or "1 hour and 2 minutes": parts of ever smaller units. Gives seconds and where they end."""
    total, end, smallest = None, start, float("inf")
    while match := _PART.match(text, end):
        unit, _ = _UNITS[str(match.lastgroup)]
        if unit >= smallest:
            break
        total = (total or 0.0) + float(match["number"]) * unit
        end, smallest = match.end(), unit
    return total, end

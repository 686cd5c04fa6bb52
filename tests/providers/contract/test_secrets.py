"""No key, prompt or value of a header in an error, a log line or a representation, whatever the vendor repeats."""

import traceback
from collections.abc import Sequence
from dataclasses import replace

import pytest
import structlog
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.secret import Secret

from tests.support.vendor import Answer
from tests.support.wire import wire_fixtures

from .bench import Bench, bench_of, instead
from .kit import PROMPT, Kit, kit_name, kits
from .oddities import echoing

KITS = pytest.mark.parametrize("kit", kits(), ids=kit_name)
GATEWAY = "gw-5f1e8d44a0-secret"
WORDS = "Ermintrude", "Quillfeather", "5f1e8d44a0"


@KITS
async def test_what_a_refusal_repeats_goes_no_further(kit: Kit, capfd: pytest.CaptureFixture[str]) -> None:
    """Every answer that the fixtures show, with key, prompt and header repeated in each of its texts and headers."""
    with structlog.testing.capture_logs() as logged:
        async with bench_of(kit, headers={"X-Gateway": f"Bearer {GATEWAY}"}) as bench:
            for fixture in wire_fixtures(kit.wire or kit.name):
                for answers in repeating(bench, [replace(a, checks=False) for a in kit.says(fixture, bench.fake)]):
                    bench.fake.forget_answers()
                    bench.fake.answer_next(*answers)
                    check(kit, await bench.ended(replace(kit.asked_by(fixture), prompt=PROMPT)), fixture.name)
    check_text(kit, repr(logged) + "".join(capfd.readouterr()), "the log")


@KITS
async def test_what_an_answer_repeats_goes_no_further(kit: Kit, capfd: pytest.CaptureFixture[str]) -> None:
    """The same of every answer to a generation that works otherwise; it may make one of them odd."""
    with structlog.testing.capture_logs() as logged:
        async with bench_of(kit, headers={"X-Gateway": GATEWAY}) as bench:
            for wish in kit.wishes():
                wish = replace(wish, prompt=PROMPT)  # noqa: PLW2901 - the same wish in other words
                bench.changes = {}
                await bench.ended(wish)
                for step, (_, good) in enumerate(list(bench.said)):
                    for answer in echoing(good, words(bench)):
                        bench.changes = {step: instead(answer)}
                        check(kit, await bench.ended(wish), f"request {step}")
    check_text(kit, repr(logged) + "".join(capfd.readouterr()), "the log")


@KITS
async def test_what_the_list_of_models_repeats_goes_no_further(kit: Kit) -> None:
    """Where the vendor publishes one."""
    async with bench_of(kit, headers={"X-Gateway": GATEWAY}) as bench:
        assert bench.entry.http is not None
        await bench.entry.provider.list_models(bench.entry.http, bench.secret)
        for step, (_, good) in enumerate(bench.said[:2]):
            for answer in echoing(replace(good, status=400), words(bench)):
                bench.changes = {step: instead(answer)}
                bench.forget()
                try:
                    await bench.entry.provider.list_models(bench.entry.http, bench.secret)
                except ImageError as error:
                    check_text(kit, everything(error), "the list")


@KITS
async def test_nothing_shows_what_it_holds(kit: Kit) -> None:
    """The representations of a provider, its client and a key, after it was used."""
    async with bench_of(kit, headers={"X-Gateway": GATEWAY}) as bench:
        for wish in kit.wishes():
            await bench.ended(replace(wish, prompt=PROMPT))
        shown = f"{bench.entry!r} {bench.entry.provider!r} {bench.entry.http!r} {Secret(bench.key)!r}"
    check_text(kit, shown, "repr")


def words(bench: Bench) -> str:
    """Write all that must not be repeated."""
    return f"{bench.key} {PROMPT} {GATEWAY}"


def repeating(bench: Bench, answers: Sequence[Answer]) -> list[list[Answer]]:
    """Have the last answer repeat, one text at a time. What comes before is how to get there."""
    return [[*answers[:-1], said] for said in echoing(answers[-1], words(bench))]


def check(kit: Kit, last: Finished | Broken, where: str) -> None:
    """See that nothing of it stands in an error. What a vendor says of a picture that came belongs to the caller."""
    ended = last.result if isinstance(last, Finished) else last.failure
    errors = [failure.error for failure in ended.failures]
    check_text(kit, repr(ended.attempts), where)
    for error in [*errors, *([last.error] if isinstance(last, Broken) else [])]:
        check_text(kit, everything(error), where)


def everything(error: ImageError) -> str:
    """Write down all that an error can tell anybody."""
    parts = [str(error), repr(error), repr(error.facts()), repr(error.violations), repr(vars(error))]
    return "\n".join([*parts, *traceback.format_exception(error)])


def check_text(kit: Kit, text: str, where: str) -> None:
    """See that nothing of it stands in a text."""
    for word in (kit.key, kit.key[:12], *WORDS):
        assert word not in text, f"{word} in {where}: {text[:1000]}"

"""Runs the cases with the driver of every language, and tells for each how many passed.

python -m tests.conformance.run [--only NAME] [LANGUAGE ...]
"""

import argparse
import asyncio
import fnmatch
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.v1 import driver_pb2
from google.protobuf.json_format import ParseDict

from .casebook import Case, CaseError, fill, load
from .checks import at_the_server, of_every_outcome
from .comparing import differences
from .languages import LANGUAGES, Broken, Driver, Language, driving
from .samples import SAMPLES, run_sample
from .surroundings import Surroundings, place, surroundings

_ALL = "*"


@dataclass
class Tally:
    """How one language did."""

    passed: int = 0
    failed: int = 0
    not_there: int = 0
    """Cases that this language cannot do, as the cases say."""
    skipped: str = ""
    """Why nothing was run."""
    built: bool = False
    problems: list[str] = field(default_factory=list)

    def line(self, language: str) -> str:
        """Say it in one line."""
        if self.skipped:
            return f"{language}: skipped ({self.skipped})"
        rest = f", {self.not_there} not in this language" if self.not_there else ""
        return f"{language}: {self.passed} passed, {self.failed} failed{rest}"


async def play(case: Case, face: str, driver: Driver, around: Surroundings) -> list[str]:
    """Do a case with one face; what was wrong.

    Raises:
        Broken: the driver is of no use any more.
    """
    problems: list[str] = []
    run_id = uuid.uuid4().hex
    outcomes: list[dict[str, object]] = []
    async with place(case, run_id, around) as here:
        for number, act in enumerate(case.acts):
            said = {
                "address": here.addresses[number % len(here.addresses)],
                **here.step,
                "face": f"FACE_{face.upper()}",
                **fill(act["step"], run_id, outcomes, around.files),
            }
            expected = fill(act.get("expect", {}), run_id, outcomes, around.files)
            if here.relay is not None and (size := act.get("cutAfterBytes")):
                here.relay.cut_after(int(size))
            outcome = await driver.do(ParseDict(said, driver_pb2.Step()), json.dumps(said))
            outcomes.append(outcome)
            found = [*differences(expected, outcome, ""), *of_every_outcome(outcome, expected, said)]
            for check in act.get("checks", ()):
                found += await at_the_server(check, outcome, around, here)
            if "upstreamRequests" in act and around.upstream.requests != act["upstreamRequests"]:
                found.append(f"the provider had {around.upstream.requests} requests, not {act['upstreamRequests']}")
            problems += [f"act {number}: {problem}" for problem in found]
        if here.script is not None:
            problems += here.script.problems
    return problems


async def prepare(language: Language, tally: Tally) -> None:
    """See whether the tools of a language are there, and build its client."""
    try:
        tally.skipped = await language.missing()
        wrong = "" if tally.skipped else await language.build()
    except Broken as problem:
        wrong = str(problem)
    if wrong:
        tally.failed, tally.problems = 1, [f"{language.name}: does not build\n{wrong}"]
    tally.built = not (wrong or tally.skipped)


async def run_language(language: Language, cases: Sequence[Case], around: Surroundings, *, show: bool) -> Tally:
    """Do all cases in one language."""
    tally = Tally()
    await prepare(language, tally)
    todo = [(case, face) for case in cases for face in case.faces] if tally.built else []
    left = [(case, face) for case, face in todo if language.name not in case.not_in]
    tally.not_there = len(todo) - len(left)
    while left:
        async with driving(language) as driver:
            while left and await do_next(language, left.pop(0), driver, around, tally, show=show):
                pass
    return tally


async def do_next(
    language: Language, todo: tuple[Case, str], driver: Driver, around: Surroundings, tally: Tally, *, show: bool
) -> bool:
    """Do one case; whether the driver is still of use."""
    case, face = todo
    began = time.monotonic()
    broken = False
    try:
        problems = await play(case, face, driver, around)
    except (Broken, CaseError) as problem:
        problems, broken = [str(problem)], isinstance(problem, Broken)
    if problems:
        tally.failed += 1
        tally.problems.append(f"{language.name}: {case.name} ({face}): " + "\n    ".join(problems))
    else:
        tally.passed += 1
    if show:
        word = "FAIL" if problems else "ok"
        print(f"{word:4} {language.name} {case.name} ({face}) {time.monotonic() - began:.2f} s", flush=True)
    return not broken


async def run_samples(language: Language, address: str, folder: Path, tally: Tally) -> None:
    """Run the sample programs of a language that was built."""
    for sample in SAMPLES:
        if problems := await run_sample(language, sample, address, folder / language.name / sample.name):
            tally.failed += 1
            tally.problems.append(f"{language.name}: sample {sample.name}: " + "\n    ".join(problems))
        else:
            tally.passed += 1


async def run(
    names: Sequence[str], cases: Sequence[Case], *, two: bool, skew: float, samples: bool, show: bool
) -> dict[str, Tally]:
    """Do the cases in each language, and run its samples, one after the other around one set of servers."""
    with tempfile.TemporaryDirectory(prefix="imagegen-conformance-") as folder:
        async with surroundings(Path(folder), two=two, skew=skew) as around:
            tallies = {}
            for name in names:
                tally = await run_language(LANGUAGES[name], cases, around, show=show)
                if samples and tally.built:
                    await run_samples(LANGUAGES[name], around.addresses[-1], Path(folder, "samples"), tally)
                tallies[name] = tally
                print(*tally.problems, tally.line(name), sep="\n", flush=True)
            return tallies


def main() -> int:
    """Read the command line; the exit status is 1 if anything failed, or was skipped in CI."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help=f"of {', '.join(LANGUAGES)}; default: all")
    parser.add_argument("--only", default=_ALL, metavar="NAME", help="cases with this name, or like it: 'reasons/*'")
    parser.add_argument(
        "--two-servers", action="store_true", help="each act of a case at the other of two servers that share a Redis"
    )
    parser.add_argument(
        "--skew",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="with --two-servers: the clock of the second one is ahead by so much; below 0: behind",
    )
    parser.add_argument("--show", action="store_true", help="a line for each case")
    asked = parser.parse_args()
    if unknown := set(asked.languages) - set(LANGUAGES):
        parser.error(f"no such language: {', '.join(sorted(unknown))}")
    try:
        cases = [case for case in load() if fnmatch.fnmatch(case.name, asked.only)]
    except CaseError as problem:
        parser.error(str(problem))
    if not cases:
        parser.error(f"no case is named {asked.only}")
    names = asked.languages or list(LANGUAGES)
    if asked.skew and not asked.two_servers:
        parser.error("--skew needs --two-servers")
    if asked.two_servers and not _there("redis-server", "two servers"):
        return int(_in_ci())
    right_clock = bool(asked.skew) and not _there("faketime", "a wrong clock")
    tallies = asyncio.run(
        run(
            names,
            cases,
            two=asked.two_servers,
            skew=0.0 if right_clock else asked.skew,
            samples=asked.only == _ALL and not asked.two_servers,
            show=asked.show,
        )
    )
    skipped = sum(bool(tally.skipped) for tally in tallies.values()) + right_clock
    failed = sum(tally.failed for tally in tallies.values())
    if _in_ci():
        failed, skipped = failed + skipped, 0
    print(f"{sum(tally.passed for tally in tallies.values())} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def _there(program: str, what: str) -> bool:
    """See whether a program is there, and say what is not done without it."""
    there = shutil.which(program) is not None
    if not there:
        print(f"{what}: {'failed' if _in_ci() else 'skipped'} ({program} is not installed)")
    return there


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"


if __name__ == "__main__":
    sys.exit(main())

"""What was measured, in numbers: the file results.json, and the targets."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from arms import ECHO, PLAIN, SERVICE
from load import FORMS
from measures import DIRECT, FirstPreview, Peak, Sample
from pictures import LARGE, SIZES, SMALL, Size
from sampling import Profile


@dataclass(slots=True)
class Results:
    """Everything of one run. `machine` holds facts by their names; `warm_up` the samples taken while stores filled."""

    machine: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    warm_up: list[Sample] = field(default_factory=list)
    first_previews: list[FirstPreview] = field(default_factory=list)
    peaks: list[Peak] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range."""

    median: float
    least: float
    most: float

    def text(self, digits: int) -> str:
        """Write "median (least - most)"."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f} - {self.most:.{digits}f})"


def spread(values: Iterable[float]) -> Spread:
    """Make the spread of at least one value."""
    known = sorted(values)
    return Spread(statistics.median(known), known[0], known[-1])


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of the table."""

    size: Size
    form: str
    concurrency: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.size.title} {self.form}, {self.concurrency} at a time"

    def samples(self, results: Results, arm: str) -> list[Sample]:
        """Those of an arm, by rounds."""
        return _of(results.samples, self, arm)

    def cpu(self, results: Results, arm: str) -> Spread:
        """Milliseconds a request."""
        return spread(sample.cpu_ms for sample in self.samples(results, arm))

    def ratio(self, results: Results, arm: str, to: str) -> Spread:
        """Processor time of an arm to that of another, round by round."""
        return _ratio(self.samples(results, arm), self.samples(results, to))


def cells(results: Results) -> list[Cell]:
    """List the cells that were measured, in the order of the table."""
    counts = sorted({sample.concurrency for sample in results.samples})
    return [Cell(size, form, concurrency) for size in SIZES for form in FORMS for concurrency in counts]


def warm_up_ratio(results: Results, to: str) -> Spread:
    """Processor time of the service to that of another arm, while its store filled."""
    by_arm = [[one for one in results.warm_up if one.arm == arm] for arm in (SERVICE.name, to)]
    return _ratio(*by_arm)


def _of(samples: Sequence[Sample], cell: Cell, arm: str) -> list[Sample]:
    wanted = (cell.size.prompt, cell.form, cell.concurrency, arm)
    return [one for one in samples if (one.size, one.form, one.concurrency, one.arm) == wanted]


def _ratio(above: Sequence[Sample], below: Sequence[Sample]) -> Spread:
    by_round = {sample.round: sample.cpu_ms for sample in below}
    return spread(sample.cpu_ms / by_round[sample.round] for sample in above)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something to reach, and what came of it. `cell` is the worst one where there are several."""

    wish: str
    limit: float
    at_most: bool = True
    measured: Spread
    digits: int = 2
    cell: Cell | None = None

    @property
    def reached(self) -> bool:
        """The median is within the limit."""
        return self.measured.median <= self.limit if self.at_most else self.measured.median >= self.limit


def targets(results: Results) -> list[Target]:
    """Hold the results against what is to be reached."""
    found = _cpu_targets(results)
    for size in SIZES:
        through, direct = (
            [one.milliseconds for one in results.first_previews if (one.reader, one.size) == (reader, size.prompt)]
            for reader in (SERVICE.name, DIRECT)
        )
        measured = spread(one / other for one, other in zip(through, direct, strict=True))
        wish = f"first preview of {size.title}, service / direct"
        found.append(Target(wish=wish, limit=1.1, measured=measured, digits=3))
    for form in FORMS:
        multiples = [peak.multiple for peak in results.peaks if (peak.arm, peak.form) == (SERVICE.name, form)]
        wish = f"peak memory above idle / decoded bytes, {form}"
        found.append(Target(wish=wish, limit=3, measured=spread(multiples)))
    found.append(Target(wish="start to SERVING, seconds", limit=1, measured=spread(results.starts)))
    return found


def _cpu_targets(results: Results) -> list[Target]:
    found = []
    for size, limit, above, below, at_most in (
        (LARGE, 3, SERVICE, ECHO, True),
        (LARGE, 2.5, PLAIN, SERVICE, False),
        (SMALL, 4, SERVICE, ECHO, True),
    ):
        ratios = {cell: cell.ratio(results, above.name, below.name) for cell in cells(results) if cell.size == size}
        worst = (max if at_most else min)(ratios, key=lambda cell: ratios[cell].median)
        wish = f"CPU at {size.title}, ({above.letter}) / ({below.letter})"
        found.append(Target(wish=wish, limit=limit, at_most=at_most, measured=ratios[worst], cell=worst))
    return found

"""The report of a run."""

from collections.abc import Iterator

from arms import ARMS, ECHO, PLAIN, SERVICE, Arm
from measures import DIRECT
from pictures import SIZES
from results import Cell, Results, Spread, cells, spread, targets, warm_up_ratio
from sampling import CONCURRENCY, Profile

_MOST_LINES = 12


def report(results: Results) -> str:
    """Write the report as Markdown."""
    return "\n".join(
        [
            *_machine(results),
            *_targets(results),
            *_cpu_table(results),
            *_other_table(results),
            *_profiles(results),
        ]
    )


def _machine(results: Results) -> Iterator[str]:
    yield "### The last run"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    for name, value in results.machine.items():
        yield f"| {name} | {value} |"
    yield ""


def _targets(results: Results) -> Iterator[str]:
    yield "### Targets"
    yield ""
    yield "| target | to reach | measured: median (range) | |"
    yield "| --- | --- | --- | --- |"
    for target in targets(results):
        limit = f"{'at most' if target.at_most else 'at least'} {target.limit:g}"
        measured = target.measured.text(target.digits) + (f"; worst: {target.cell.name}" if target.cell else "")
        yield f"| {target.wish} | {limit} | {measured} | {'reached' if target.reached else '**missed**'} |"
    yield ""


def _cpu_table(results: Results) -> Iterator[str]:
    yield "### Processor time"
    yield ""
    yield "![Processor time of one request](plot.svg)"
    yield ""
    yield "Milliseconds of user and kernel time for one request: median of the rounds and range. Ratios are taken round"
    yield "by round. c = requests at a time."
    yield ""
    titles = " | ".join(f"({arm.letter}) {arm.title}" for arm in ARMS)
    yield f"| | {titles} | (c) / (a) | (b) / (c) |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for cell in cells(results):
        columns = [cell.cpu(results, arm.name).text(2) for arm in ARMS]
        columns.append(cell.ratio(results, SERVICE.name, ECHO.name).text(2))
        columns.append(cell.ratio(results, PLAIN.name, SERVICE.name).text(2))
        yield f"| {cell.size.title} {cell.form}, c = {cell.concurrency} | {' | '.join(columns)} |"
    yield ""
    if results.warm_up:
        filling = warm_up_ratio(results, ECHO.name)
        yield "While the service's store still fills, right after the start, (c) / (a) at 1.5 MB unary, c = 8, is"
        yield f"{filling.text(2)}."
        yield ""


def _other_table(results: Results) -> Iterator[str]:
    yield "### Requests a second, and the time of one"
    yield ""
    yield "One server process on one core. Medians of the rounds; the time is the median of a round's requests in ms."
    yield ""
    yield f"| | {' | '.join(f'({arm.letter}) a second | ({arm.letter}) ms' for arm in ARMS)} |"
    yield f"| --- |{' --- | --- |' * len(ARMS)}"
    for cell in cells(results):
        columns = [column for arm in ARMS for column in _speed(results, cell, arm)]
        yield f"| {cell.size.title} {cell.form}, c = {cell.concurrency} | {' | '.join(columns)} |"
    yield ""
    yield from _previews(results)
    yield from _memory(results)


def _speed(results: Results, cell: Cell, arm: Arm) -> Iterator[str]:
    samples = cell.samples(results, arm.name)
    yield f"{spread(sample.per_second for sample in samples).median:.0f}"
    yield f"{spread(sample.median_ms for sample in samples).median:.2f}"


def _previews(results: Results) -> Iterator[str]:
    yield "### First preview"
    yield ""
    yield "Milliseconds from the request to the last byte of the first preview, which the upstream sends after 100 ms."
    yield ""
    yield "| | direct | through the service |"
    yield "| --- | --- | --- |"
    for size in SIZES:
        taken: list[Spread] = [
            spread(one.milliseconds for one in results.first_previews if (one.reader, one.size) == (who, size.prompt))
            for who in (DIRECT, SERVICE.name)
        ]
        yield f"| {size.title} | {' | '.join(one.text(1) for one in taken)} |"
    yield ""


def _memory(results: Results) -> Iterator[str]:
    yield "### Peak memory"
    yield ""
    yield "64 answers of 1.5 MB in flight at once, in MB (10^6 bytes); the multiple is that of the decoded bytes."
    yield ""
    yield "| | decoded | idle | peak | multiple |"
    yield "| --- | --- | --- | --- | --- |"
    for arm in (PLAIN, SERVICE):
        for form in dict.fromkeys(peak.form for peak in results.peaks):
            own = [peak for peak in results.peaks if (peak.arm, peak.form) == (arm.name, form)]
            columns = [
                f"{own[0].decoded / 1e6:.1f}",
                spread(peak.idle / 1e6 for peak in own).text(0),
                spread(peak.peak / 1e6 for peak in own).text(0),
                spread(peak.multiple for peak in own).text(2),
            ]
            yield f"| ({arm.letter}) {arm.title}, {form} | {' | '.join(columns)} |"
    yield ""


def _profiles(results: Results) -> Iterator[str]:
    for one in results.profiles:
        yield from _profile(one)


def _profile(one: Profile) -> Iterator[str]:
    title = next(size.title for size in SIZES if size.prompt == one.size)
    yield f"### Where the time goes: {title} {one.form}, c = {CONCURRENCY}"
    yield ""
    yield f"{one.samples} samples in {one.requests} requests of a run of its own. The kernel had"
    yield f"{one.kernel_share:.0%} of the time, which is part of the shares."
    yield "Native code counts for the line that called it, native threads for what the main thread did meanwhile."
    yield ""
    yield "| on behalf of | share | line | share |"
    yield "| --- | --- | --- | --- |"
    rows = min(_MOST_LINES, max(len(one.owners), len(one.lines)))
    for row in range(rows):
        owner, line = (
            (f"`{names[row][0]}`", f"{names[row][1]:.1%}") if row < len(names) else ("", "")
            for names in (one.owners, one.lines)
        )
        yield f"| {owner[0]} | {owner[1]} | {line[0]} | {line[1]} |"
    yield ""

"""The benchmark: `make bench`, or `.venv/bin/python benchmarks/run.py --quick` for a look whether it works.

Writes results.json, plot.svg and report.md into out/bench. With --write results.json and plot.svg stand beside this
file, and the report in README.md.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
from arms import ARMS, running_bench
from load import FORMS, require_h2load
from measures import FULL, QUICK, Plan, Sample, cpu_round, first_previews, peaks, starts
from page import put
from pictures import SIZES
from plot import svg
from processes import HERE, Cores, choose_cores
from report import report
from results import Results, targets
from sampling import profile

_OUT = HERE.parent / "out" / "bench"
_LEAST_ROUNDS = 5


def main() -> int:
    """Run the benchmark; returns the exit status. A missed target is a result, not a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round with few requests; its numbers mean nothing")
    parser.add_argument("--write", action="store_true", help="keep the results beside this file")
    options = parser.parse_args()
    rounds = int(os.environ.get("ROUNDS", FULL.rounds))
    if options.write and (options.quick or rounds < _LEAST_ROUNDS):
        parser.error(f"results are kept of a full run of at least {_LEAST_ROUNDS} rounds only")
    if sys.platform != "linux":
        sys.exit("the benchmark reads the kernel's accounts of Linux and runs nowhere else")
    tool = require_h2load()
    cores = choose_cores()
    begin = time.monotonic()
    results = Results(_machine(cores, tool))
    with tempfile.TemporaryDirectory() as directory:
        _measure(results, QUICK if options.quick else replace(FULL, rounds=rounds), cores, Path(directory))
    results.machine["duration"] = f"{time.monotonic() - begin:.0f} s"
    _publish(results, write=options.write)
    return 0


def _measure(results: Results, plan: Plan, cores: Cores, directory: Path) -> None:
    steal = _steal()
    results.machine["rounds"] = str(plan.rounds)
    with running_bench(cores, directory) as bench:
        print("start to SERVING", flush=True)
        results.starts = starts(bench, plan)
        for number in range(plan.rounds):
            for kind, samples in cpu_round(bench, plan, number):
                (results.samples if kind == "cell" else results.warm_up).extend(samples)
                _tell(f"round {number + 1} of {plan.rounds}", kind, samples)
        print("first preview", flush=True)
        results.first_previews = first_previews(bench, plan)
        print("peak memory", flush=True)
        results.peaks = list(peaks(bench, plan))
        missed = {(one.cell.size, one.cell.form) for one in targets(results) if one.cell and not one.reached}
        for size in SIZES:
            for form in FORMS:
                if (size, form) in missed:
                    print(f"profile of {size.title} {form}", flush=True)
                    requests = sum(count for (one, _), count in plan.requests.items() if one == size)
                    results.profiles.append(profile(bench, size, form, requests))
    results.machine["taken by the hypervisor meanwhile"] = f"{_steal() - steal:.1f} s of processor time"


def _tell(where: str, kind: str, samples: list[Sample]) -> None:
    one = samples[0]
    by_arm = {sample.arm: sample.cpu_ms for sample in samples}
    times = "  ".join(f"{arm.name} {by_arm[arm.name]:.2f}" for arm in ARMS)
    what = f"{kind} {one.size} {one.form} c={one.concurrency}"
    print(f"{where}  {what:<26}  {times}  ms of CPU", flush=True)


def _machine(cores: Cores, tool: str) -> dict[str, str]:
    cpu = next(
        line.partition(": ")[2]
        for line in [*Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines(), f": {platform.machine()}"]
        if line.startswith(("model name", ":"))
    )
    one_core = "one core for the server and the load: times and requests a second are worth little"
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "pinned": one_core
        if cores.shared
        else f"server on core {cores.server}, load and upstream on core {cores.load}",
        "kernel": f"{platform.system()} {platform.release()}",
        "software": f"Python {platform.python_version()}, grpcio {grpc.__version__}, {tool}",
        "load average before": " ".join(f"{one:.2f}" for one in os.getloadavg()),
    }


def _commit() -> str:
    try:
        commands = (["git", "rev-parse", "--short", "HEAD"], ["git", "status", "--porcelain"])
        commit, changes = (
            subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit} and changes" if changes else commit


def _steal() -> float:
    """Seconds in which the hypervisor ran something else, of all cores since boot (proc(5), /proc/stat)."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def _publish(results: Results, *, write: bool) -> None:
    text = report(results)
    caption = f"{results.machine['date']}, {results.machine['processor']}; medians with range"
    out = HERE if write else _OUT
    out.mkdir(parents=True, exist_ok=True)
    results.write(out / "results.json")
    (out / "plot.svg").write_text(svg(results, caption), encoding="utf-8")
    if write:
        put("results", text)
    else:
        (out / "report.md").write_text(text, encoding="utf-8")
    print()
    for target in targets(results):
        print(f"{'reached' if target.reached else 'MISSED ':7}  {target.wish}: {target.measured.text(target.digits)}")
    print(f"\nresults.json, plot.svg and the report are in {out.relative_to(HERE.parent)}/")


if __name__ == "__main__":
    sys.exit(main())

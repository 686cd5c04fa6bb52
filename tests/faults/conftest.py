"""The last lines of `make faults`: what was measured, and how many cases held."""

import pytest

MEASURED = "measured"
"""The property of a test under which it reports a line."""


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print them below everything else, once for all workers."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    stats = {kind: reporter.stats.get(kind, []) for kind in ("passed", "failed", "error", "skipped")}
    for report in (*stats["passed"], *stats["failed"]):
        for name, line in report.user_properties:
            if name == MEASURED:
                reporter.write_line(f"measured: {line}")
    for report in stats["skipped"]:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        reporter.write_line(f"skipped: {report.nodeid}: {str(reason).removeprefix('Skipped: ')}")
    skipped = f", {len(stats['skipped'])} skipped" if stats["skipped"] else ""
    reporter.write_line(f"{len(stats['passed'])} passed, {len(stats['failed']) + len(stats['error'])} failed{skipped}")

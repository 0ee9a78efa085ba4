"""What holds for all tests: what was left out is told, as is what was counted; in CI nothing is left out.

Tests may run in several processes: what is told at the end travels in their reports.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Generator
from typing import cast

import pytest
from hypothesis import settings

settings.register_profile("mandate", deadline=None)  # how busy the machine is says nothing about the code
settings.load_profile("mandate")

MISSING = "tool missing:"
"""How the reason of a skip begins where a test needs a tool that this machine lacks."""

Tally = dict[str, Counter[str]]


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Generator[Tally]:
    """What a test has counted, by heading; it is printed when all tests are over."""
    counts: Tally = {}
    yield counts
    request.node.user_properties.extend((heading, dict(counted)) for heading, counted in counts.items())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and (tool := _tool(report)) and os.environ.get("MANDATE_CI"):
        report.outcome, report.longrepr = "failed", f"CI has to install {tool}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = terminalreporter.stats
    reports = [report for kind in stats.values() for report in kind if isinstance(report, pytest.TestReport)]
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for heading, counts in (pair for report in reports for pair in report.user_properties):
        totals[heading].update(cast("dict[str, int]", counts))
    for heading, total in sorted(totals.items()):
        terminalreporter.section(f"{heading}: {total.total()}")
        for line, count in sorted(total.items()):
            terminalreporter.line(f"{count:6}  {line}")
    if left_out := [(tool, report.nodeid) for report in reports if report.skipped and (tool := _tool(report))]:
        terminalreporter.section("left out, since this machine lacks a tool")
        for tool, test in left_out:
            terminalreporter.line(f"{tool:12} {test}")


def _tool(report: pytest.TestReport) -> str:
    """Return the tool for want of which a test was skipped."""
    return str(report.longrepr).partition(MISSING)[2].strip(" '\")")

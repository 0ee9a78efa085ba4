"""What holds for all tests: nothing is left out in silence, and in CI nothing is left out at all."""

import os
from collections.abc import Generator

import pytest

MISSING = "tool missing:"
"""How the reason of a skip begins where a test needs a tool that this machine lacks."""

_LEFT_OUT = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEFT_OUT] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _, found, tool = str(report.longrepr).partition(MISSING)
    if report.skipped and found:
        tool = tool.strip(" '\")")
        item.config.stash[_LEFT_OUT][item.nodeid] = tool
        if os.environ.get("MANDATE_CI"):
            report.outcome, report.longrepr = "failed", f"CI has to install {tool}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash[_LEFT_OUT]:
        terminalreporter.section("left out, since this machine lacks a tool")
        for test, tool in left_out.items():
            terminalreporter.line(f"{tool:12} {test}")

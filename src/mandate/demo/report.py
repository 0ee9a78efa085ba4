"""What the reader sees of the walk: a heading per chapter, a line per promise, what was seen below it."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias, TypeVar

from rich.console import Console
from rich.text import Text

S = TypeVar("S")

Step: TypeAlias = Callable[[S], Awaitable[str]]
"""Keeps one promise, which is its docstring, and returns what was seen. Raises if the promise does not hold."""

Outcome = Literal["ok", "FAIL", "not run"]

_STYLES: dict[Outcome, str] = {"ok": "green", "FAIL": "bold red", "not run": "yellow"}


class Broken(Exception):
    """A promise does not hold; the message says what was seen instead."""


class NotRun(Exception):
    """A step cannot be taken here; the message says why."""


def expect(holds: bool, seen: str) -> None:
    if not holds:
        raise Broken(seen)


class Report:
    def __init__(self, console: Console) -> None:
        self._console = console
        self.counts: Counter[Outcome] = Counter()

    def chapter(self, title: str) -> None:
        self._console.print(Text(f"\n{title}", style="bold"), soft_wrap=True)

    async def take(self, step: Step[S], story: S) -> None:
        """Take one step, and print whether its promise holds, how long it took, and what was seen."""
        began = time.monotonic()
        outcome, seen = await _outcome(step, story)
        milliseconds = int((time.monotonic() - began) * 1000)
        self.counts[outcome] += 1
        promise = (step.__doc__ or "").strip().rstrip(".")
        took = "" if outcome == "not run" else f" ({milliseconds} ms)"
        line = Text.assemble("  ", (f"{outcome:8}", _STYLES[outcome]), promise, (took, "dim"))
        self._console.print(line, soft_wrap=True)
        if seen:
            self._console.print(Text(f"          {seen}", style="dim"), soft_wrap=True)

    def close(self, seconds: float) -> int:
        """Print the sum, and return the exit code."""
        counts = ", ".join(f"{self.counts[outcome]} {outcome}" for outcome in _STYLES)
        self._console.print(Text(f"\n{counts} in {seconds:.0f} s", style="bold"))
        return 1 if self.counts["FAIL"] or not self.counts["ok"] else 0


async def _outcome(step: Step[S], story: S) -> tuple[Outcome, str]:
    try:
        return "ok", await step(story)
    except NotRun as reason:
        return "not run", str(reason)
    except Broken as seen:
        return "FAIL", str(seen)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a step breaks its promise, and the walk goes on
        return "FAIL", f"{type(error).__name__}: {error}"

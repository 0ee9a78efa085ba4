"""Running a command to its end: what it raises on purpose is told in a line, without a stack."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine

import typer


def run_to_end(work: Coroutine[None, None, int | None]) -> None:
    """Run what a command does, and exit with its code."""
    if os.environ.get("MANDATE_SUPERVISED"):
        from mandate.supervision import end_with_parent

        end_with_parent()
    raise typer.Exit(told(lambda: _answered(work)))


def told(work: Callable[[], int]) -> int:
    """Return a command's exit code: 1 where it raised an error of ours, which is printed."""
    from core.errors import MandateError

    try:
        return work()
    except MandateError as error:
        print(f"{error.message} ({error.code})", file=sys.stderr)
        return 1


def _answered(work: Coroutine[None, None, int | None]) -> int:
    try:
        return _loop(work) or 0
    except _unanswered():
        print("The product does not answer. Look whether it is up. (dependency.api)", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _unanswered() -> tuple[type[Exception], ...]:
    """Return what a client raises where nobody answers; looked up only when something was raised."""
    from aiohttp import ClientError

    return ClientError, TimeoutError


def _loop(work: Coroutine[None, None, int | None]) -> int | None:
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop

    return uvloop.run(work)

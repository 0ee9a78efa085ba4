"""What orchestration asks of an alarm clock. The log is the truth: a driver only says when to look at a run."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeAlias

from core import RunId, TenantId

Look: TypeAlias = Callable[[TenantId, RunId], Awaitable[bool]]
"""Looks at a run, and carries it on if it is nobody's. False: another process has it, and must be woken itself."""


class Driver(Protocol):
    """Has runs looked at: more often than needed is allowed, never is not.

    The store can be one, scanned (`StoreDriver`). In Azure the Durable Task Scheduler is to take its place: an
    instance for each run, timers for `schedule`, events for `wake`.
    """

    async def schedule(self, tenant: TenantId, run: RunId, at: datetime) -> None:
        """Have a run looked at when `at` has come, whichever processes there are by then."""
        ...

    async def wake(self, tenant: TenantId, run: RunId) -> None:
        """Have a run looked at by the process that carries it, or if that dies by another; durable on return."""
        ...

    async def start(self, look: Look) -> int:
        """Have every run looked at that has not ended, before this process serves anybody; return how many."""
        ...

    async def drive(self, look: Look) -> None:
        """Call `look` when it is time, until cancelled."""
        ...

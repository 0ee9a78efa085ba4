"""Which target to try next, and when: the one retry layer of the product, without its I/O.

The rules (design section 6): targets in order; a wait that the endpoint asks for is honoured at that target if the
request can afford it, else the next target is tried; one more round after all have failed; never more than
`MAX_ATTEMPTS` in all, never past the deadline.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from random import SystemRandom

from core import Clock
from core.errors import MandateError
from models.breaker import Breaker
from models.catalogue import Target
from models.faults import unavailable

MAX_ATTEMPTS = 4
_BACKOFF_SECONDS = (0.05, 0.3)
"""Drawn evenly between, so that callers who failed together do not come back together."""


class Lane:
    """A target with what this process knows of it: how it fares, and how many calls are under way."""

    def __init__(self, target: Target, clock: Clock) -> None:
        self.target = target
        self.breaker = Breaker(clock)
        self.slots = asyncio.Semaphore(target.concurrency)


class Course:
    """One request's way through the targets that may serve it."""

    def __init__(self, lanes: Sequence[Lane], *, clock: Clock, deadline: datetime) -> None:
        self.attempts = 0
        self._clock = clock
        self._deadline = deadline
        self._round = list(lanes)
        self._again: list[Lane] | None = []
        """Targets for the second round; None while that is under way."""

    @property
    def remaining(self) -> float:
        """Seconds until the deadline."""
        return (self._deadline - self._clock.now()).total_seconds()

    def next(self) -> Lane:
        """Return the target to try now and start its breaker.

        Raises:
            Unavailable: all are resting.
        """
        ready = _ready(self._round)
        if not ready:
            raise unavailable(min(lane.breaker.rest for lane in self._round))
        self._round, lane = ready, ready[0]
        self.attempts += 1
        lane.breaker.start()
        return lane

    def wait_after(self, error: MandateError) -> float:
        """Return the seconds to wait before the next attempt, given how this one failed.

        Raises:
            MandateError: `error`, if there shall be no further attempt.
        """
        if self.attempts >= MAX_ATTEMPTS:
            raise error
        # One share for each attempt that is left, and one for this wait: no wait takes the time of the call after it.
        share = self.remaining / (MAX_ATTEMPTS - self.attempts + 1)
        if share <= 0:
            raise error
        if error.retry_after is not None and error.retry_after <= share:
            return error.retry_after
        failed = self._round.pop(0)
        if self._again is not None and error.retry_after is None:
            self._again.append(failed)
        self._round = _ready(self._round)
        if self._round:
            return 0.0
        self._round, self._again = _ready(self._again or []), None
        if not self._round:
            raise error
        low, high = _BACKOFF_SECONDS
        return min(SystemRandom().uniform(low, high), share)


def _ready(lanes: Sequence[Lane]) -> list[Lane]:
    return [lane for lane in lanes if not lane.breaker.rest]

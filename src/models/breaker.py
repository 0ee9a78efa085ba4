"""The circuit breaker of one target: who keeps failing is left alone for a while, then tried by one call."""

from datetime import timedelta

from core import Clock

FAILURES_TO_OPEN = 5
REST = timedelta(seconds=10)


class Breaker:
    """Closed at first; opens after `FAILURES_TO_OPEN` failures in a row; after `REST` one probe decides.

    Every `start` is followed by exactly one of `succeeded`, `failed` and `abandoned`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._opened_at = clock.now()
        self._probing = False

    @property
    def rest(self) -> float:
        """Seconds until a call may be tried; 0 when one may be tried now."""
        if self._failures < FAILURES_TO_OPEN:
            return 0.0
        if self._probing:
            return REST.total_seconds()
        return max(0.0, (self._opened_at + REST - self._clock.now()).total_seconds())

    def start(self) -> None:
        self._probing = self._failures >= FAILURES_TO_OPEN

    def succeeded(self) -> None:
        self._failures = 0
        self._probing = False

    def failed(self) -> None:
        self._failures += 1
        self._opened_at = self._clock.now()
        self._probing = False

    def abandoned(self) -> None:
        """The call ended for reasons of the caller's: that says nothing about the target."""
        self._probing = False

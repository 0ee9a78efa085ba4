"""A clock that stands still until a test moves it."""

from datetime import datetime


class MovableClock:
    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time

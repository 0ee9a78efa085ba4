"""What was used already, remembered for as long as it could be used again."""

from collections import OrderedDict
from datetime import datetime, timedelta

from core.errors import Unavailable


class SeenNonces:
    """Remembers nonces for `lifetime`. When `capacity` is reached it refuses rather than forget."""

    def __init__(self, capacity: int, lifetime: timedelta) -> None:
        self._capacity = capacity
        self._lifetime = lifetime
        self._forget_at: OrderedDict[str, datetime] = OrderedDict()

    def claim(self, nonce: str, now: datetime) -> bool:
        """Return whether `nonce` is new, and remember it.

        Raises:
            Unavailable: there is no room to remember it (`dependency.replay_guard`).
        """
        while self._forget_at and next(iter(self._forget_at.values())) < now:
            self._forget_at.popitem(last=False)
        if nonce in self._forget_at:
            return False
        if len(self._forget_at) >= self._capacity:
            message = "Too many requests within a minute. Try again shortly."
            raise Unavailable(message, code="dependency.replay_guard", retry_after=1)
        self._forget_at[nonce] = now + self._lifetime
        return True

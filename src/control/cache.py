"""Short-lived copies of records, so that the store is not asked at every step."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from core import Clock
from core.errors import Unavailable

K = TypeVar("K")
V = TypeVar("V")

LIFETIME = timedelta(seconds=5)
"""How long another process may go on with what it read before a change."""

FORGOTTEN = timedelta(minutes=1)
"""What nobody asked for during so long goes when somebody asks for anything."""

_LOAD_SECONDS = 10.0


@dataclass(slots=True)
class _Entry(Generic[V]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    value: V | None = None
    at: datetime | None = None


class Cache(Generic[K, V]):
    """Values that are at most `lifetime` old; each is loaded once, however many ask. Keys carry the tenant."""

    def __init__(self, clock: Clock, *, size: int = 10_000, lifetime: timedelta = LIFETIME) -> None:
        self._clock = clock
        self._size = size
        self._lifetime = lifetime
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()

    async def get(self, key: K, load: Callable[[V | None], Awaitable[V]]) -> V:
        """Return the value, from `load(value that grew old)` where there is no fresh one. Errors are not kept.

        Raises:
            Unavailable: loading took longer than ten seconds.
        """
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        now = self._clock.now()
        self._make_room(now)
        if entry.value is not None and self._is_young(entry, now):
            return entry.value
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                return await self._fresh(entry, load)
        except TimeoutError:
            raise Unavailable("What this needs cannot be read now; try again in a moment.", retry_after=5) from None

    async def _fresh(self, entry: _Entry[V], load: Callable[[V | None], Awaitable[V]]) -> V:
        async with entry.lock:
            if entry.value is None or not self._is_young(entry, self._clock.now()):
                entry.value = await load(entry.value)
                entry.at = self._clock.now()
            return entry.value

    def forget(self, key: K) -> None:
        """Drop a value that this process has changed."""
        self._entries.pop(key, None)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def _make_room(self, now: datetime) -> None:
        """Drop what was asked for longest ago, where there is too much or it was long ago."""
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            is_old = oldest.at is not None and now - oldest.at >= FORGOTTEN
            if len(self._entries) <= self._size and (not is_old or len(self._entries) == 1):
                return
            del self._entries[key]

    def _is_young(self, entry: _Entry[V], now: datetime) -> bool:
        # A clock that was set back must not keep a value alive.
        return entry.at is not None and timedelta(0) <= now - entry.at < self._lifetime

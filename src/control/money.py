"""How much money agents have moved within a day: set aside before it is decided, exact among all processes."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from control.records import MOVED_KEY, Moved, MovedRecord
from core import Clock, Facts, PrincipalId, parse_timestamp, timestamp
from core.errors import Conflict, PreconditionFailed
from data import TenantData

WINDOW = timedelta(hours=24)
MOST = 5000
"""Moves of a tenant in a day; beyond, they could not be counted exactly in one record."""

_ATTEMPTS = 100


class Money:
    """One record per tenant; two who move at the same time count each other, so that no limit is passed by haste."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def set_aside(self, data: TenantData, key: str, user: PrincipalId, cents: int) -> Facts:
        """Count `cents` under `key`, and return what else was moved within a day, for the user and for all.

        Again under the same key it replaces what was there, so that a resumed run is not counted twice.

        Raises:
            Conflict: too many move money at this moment, or more than `MOST` did within the day (`limit.moves`).
        """
        others: dict[str, Moved] = {}

        def change(moves: dict[str, Moved]) -> None:
            moves.pop(key, None)
            if len(moves) >= MOST:
                raise Conflict("More money was moved within a day than can be counted exactly.", code="limit.moves")
            others.clear()
            others.update(moves)
            moves[key] = Moved(at=timestamp(self._clock.now()), user=user, cents=max(0, cents))

        await self._changed(data, change)
        return {
            "moved_by_user_cents": sum(move.cents for move in others.values() if move.user == user),
            "moved_by_tenant_cents": sum(move.cents for move in others.values()),
        }

    async def give_back(self, data: TenantData, key: str) -> None:
        """Forget what was set aside under `key`: certainly nothing was moved."""

        def change(moves: dict[str, Moved]) -> None:
            moves.pop(key, None)

        await self._changed(data, change)

    async def _changed(self, data: TenantData, change: Callable[[dict[str, Moved]], None]) -> None:
        for _ in range(_ATTEMPTS):
            found = await data.records.get(MovedRecord, MOVED_KEY)
            moves = self._recent(found.value.moves) if found else {}
            change(moves)
            with suppress(PreconditionFailed):
                await data.records.put(MOVED_KEY, MovedRecord(moves=moves), etag=found.etag if found else None)
                return
        raise Conflict("Too many move money at once; try again in a moment.", retry_after=1)

    def _recent(self, moves: dict[str, Moved]) -> dict[str, Moved]:
        # What stands in the future counts: a clock that is set back must not free anything.
        since = self._clock.now() - WINDOW
        return {key: move for key, move in moves.items() if parse_timestamp(move.at) >= since}

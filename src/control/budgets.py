"""What a tenant may spend in a month: set aside before a model is called, settled after, exact among all processes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Literal

from control.batches import Batches
from control.records import BUDGET_KEY, Amount, BudgetRecord
from core import Clock, TenantContext, TenantId, timestamp
from core.errors import BudgetSpent, Conflict, Defect, PreconditionFailed
from data import TenantData, Versioned

_ATTEMPTS = 100

SEEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Reservation:
    key: str
    amount: Amount


@dataclass(slots=True)
class _Change:
    data: TenantData
    kind: Literal["reserve", "settle", "call"]
    key: str
    amount: Amount
    refused: str = ""


class Budgets:
    """Reserve and settle on one record per tenant, each durable on return.

    Changes that come at the same time in one process go in one write; between processes the record's ETag decides.

    Args:
        clock: says which month it is (UTC).
        limit: of a tenant: what it may spend in a month now, in millionths of the catalogue's currency and in tokens.
    """

    def __init__(self, clock: Clock, limit: Callable[[TenantContext], Awaitable[Amount]]) -> None:
        self._clock = clock
        self._limit = limit
        self._known: dict[TenantId, Versioned[BudgetRecord]] = {}
        self._owed: dict[TenantId, list[_Change]] = {}
        self._seen: dict[TenantId, tuple[datetime, BudgetRecord]] = {}
        self._batches: Batches[TenantId, _Change] = Batches(self._commit)

    async def reserve(self, data: TenantData, key: str, micros: int, *, tokens: int = 0) -> Reservation:
        """Set `micros` and `tokens` aside under `key`, one key for each attempt at a call.

        Reserving again under a key that is not settled replaces the amount, so a resumed run does not pay twice.

        Raises:
            BudgetSpent: not that much is left (`budget.spent`, `budget.tokens`); nothing was set aside.
        """
        if micros < 0 or tokens < 0:
            raise Defect("A reservation cannot be negative.")
        change = _Change(data, "reserve", key, Amount(micros=micros, tokens=tokens))
        await self._batches.add(data.context.tenant, change)
        if change.refused:
            raise BudgetSpent(
                "Too little is left of the organisation's budget for this month. Ask its owner to raise it.",
                code=change.refused,
            )
        return Reservation(key, change.amount)

    async def settle(self, data: TenantData, key: str, actual_micros: int, *, tokens: int = 0) -> None:
        """Replace what was set aside under `key` by what it really cost. A second time changes nothing."""
        if actual_micros < 0 or tokens < 0:
            raise Defect("A cost cannot be negative.")
        change = _Change(data, "settle", key, Amount(micros=actual_micros, tokens=tokens))
        await self._batches.add(data.context.tenant, change)

    def settle_later(self, data: TenantData, key: str, actual_micros: int) -> None:
        """Settle with the tenant's next write, or at `flush`: until then a crash leaves the reservation as it is."""
        change = _Change(data, "settle", key, Amount(micros=actual_micros))
        self._owed.setdefault(data.context.tenant, []).append(change)

    async def flush(self, data: TenantData) -> None:
        """Write what was left for later; durable on return."""
        if owed := self._owed.get(data.context.tenant):
            await self._batches.add(data.context.tenant, owed.pop())

    def count_call(self, data: TenantData) -> None:
        """Count a tool call, with the tenant's next write or at `flush`: a crash until then loses it."""
        self._owed.setdefault(data.context.tenant, []).append(_Change(data, "call", self._bucket(), Amount()))

    async def left(self, data: TenantData) -> int:
        """Return the millionths that are neither spent nor set aside; never below 0.

        A fact for policies, up to five seconds behind other processes; what is exact is `reserve`.
        """
        return max(0, (await self._recent(data)).left.micros)

    async def calls_in_hour(self, data: TenantData) -> int:
        """Return how many tools were called within an hour, or up to five minutes more.

        A fact for policies, against floods: behind other processes as `left` is.
        """
        since = self._bucket(-timedelta(hours=1))
        return sum(count for bucket, count in (await self._recent(data)).calls.items() if bucket >= since)

    def _bucket(self, ago: timedelta = timedelta()) -> str:
        """Return the five minutes in which calls are counted together, as text in the order of time."""
        at = self._clock.now() + ago
        return timestamp(at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0))

    async def _recent(self, data: TenantData) -> BudgetRecord:
        seen = self._seen.get(data.context.tenant)
        if seen is None or (self._clock.now() - seen[0]).total_seconds() >= SEEN_SECONDS:
            seen = self._clock.now(), (await self._current(data))[0]
            self._seen[data.context.tenant] = seen
        return seen[1]

    async def _commit(self, tenant: TenantId, changes: Sequence[_Change]) -> None:
        changes = [*self._owed.pop(tenant, ()), *changes]
        for _ in range(_ATTEMPTS):
            # mandate: equal[key] - what is known is a guess: its ETag decides whether it is the tenant's, and current
            known = self._known.pop(tenant, None)
            before, etag = await self._current(changes[0].data, known)
            after = _apply(before, changes)
            if after == before:
                if known:  # what another process did since may make a difference
                    continue
                return
            try:
                new = await changes[0].data.records.put(BUDGET_KEY, after, etag=etag)
            except PreconditionFailed:
                # Another process was faster, so progress is made; not to fall over each other again, wait a little.
                await asyncio.sleep(SystemRandom().uniform(0, 0.005))
                continue
            # mandate: equal[key] - the same
            self._known[tenant] = Versioned(BUDGET_KEY, after, new)
            self._seen[tenant] = self._clock.now(), after
            return
        raise Conflict("Too many processes change the budget at once; try again in a moment.", retry_after=1)

    async def _current(
        self, data: TenantData, known: Versioned[BudgetRecord] | None = None
    ) -> tuple[BudgetRecord, str | None]:
        """Return the record as it is to be read now: this month's, under the tenant's limit."""
        limit = await self._limit(data.context)
        month = self._clock.now().strftime("%Y-%m")
        found = known or await data.records.get(BudgetRecord, BUDGET_KEY)
        if found is None:
            return BudgetRecord(month=month, limit=limit), None
        spent = found.value.spent if found.value.month == month else Amount()
        since = self._bucket(-timedelta(hours=1))
        calls = {bucket: count for bucket, count in found.value.calls.items() if bucket >= since}
        changes = {"month": month, "limit": limit, "spent": spent, "calls": calls}
        return found.value.model_copy(update=changes), found.etag


def _apply(record: BudgetRecord, changes: Sequence[_Change]) -> BudgetRecord:
    """Return the record after `changes`, in order; a reservation for which too little is left is marked as refused."""
    spent, left, reserved, calls = record.spent, record.left, dict(record.reserved), Counter(record.calls)
    for change in changes:
        change.refused = ""
        if change.kind == "call":
            calls[change.key] += 1
            continue
        held = reserved.get(change.key)
        rest = left.plus(held or Amount()).minus(change.amount)
        if change.kind == "settle":
            if held is None:
                continue
            spent = spent.plus(change.amount)
            del reserved[change.key]
        else:
            change.refused = "budget.spent" if rest.micros < 0 else "budget.tokens" if rest.tokens < 0 else ""
            if change.refused:
                continue
            reserved[change.key] = change.amount
        left = rest
    return record.model_copy(update={"spent": spent, "reserved": reserved, "calls": dict(calls)})

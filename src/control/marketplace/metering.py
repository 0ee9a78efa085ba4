"""Billing what was used beyond what is included: looked at every few minutes, sent once, whatever happens in between.

An event stands in its account before it is sent, and is sent again, the same, until there is an answer: the marketplace
takes one for each resource, dimension and hour, so that a process that dies, or another that does the same at the same
time, bills nothing twice. What is owed follows from what was used, so that nothing is forgotten (`metering_account`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from control import contexts
from control.marketplace import metering_account as account
from control.marketplace.ledger import Ledger
from control.marketplace.metering_account import Billed
from control.marketplace.metering_records import Emission, EmissionRecord, MeterRecord, Term, meter_key
from control.marketplace.port import MOST_IN_BATCH, MeterApi, UsageEvent
from control.marketplace.shapes import Reported, UsageAnswer
from core import Clock, parse_timestamp, timestamp
from core.errors import Conflict, MandateError, PreconditionFailed
from data import Records, Store

LOOKS_EVERY = timedelta(minutes=5)

_ENDED = timedelta(days=4)
"""After its end nothing more can come of a resource: the last day is billed, the marketplace has reported."""

_ATTEMPTS = 20
_log = logging.getLogger(__name__)


class Metering:
    """Brings the accounts up to date and sends what they owe.

    Args:
        api: the marketplace's.
        ledger: what was used.
        resources: gives all that is billed, as it is now.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        api: MeterApi,
        ledger: Ledger,
        resources: Callable[[], AsyncIterator[Billed]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._api = api
        self.ledger = ledger
        self.resources = resources

    @property
    def records(self) -> Records:
        return self._store.tenant(contexts.publisher("metering")).records

    @property
    def now(self) -> datetime:
        return self._clock.now()

    async def reported(self, since: str) -> Sequence[Reported]:
        """Return the marketplace's own report. See `MeterApi.reported`."""
        return await self._api.reported(since)

    async def run(self) -> None:
        """Look again and again until cancelled; what goes wrong is logged and tried again."""
        while True:
            try:
                await self.look()
            except MandateError as error:
                _log.warning("metering.behind", extra={"code": error.code})
            await asyncio.sleep(LOOKS_EVERY.total_seconds())

    async def look(self, *, now_too: bool = False) -> int:
        """Bring all accounts up to date, send what they owe, and return how many events the marketplace has taken.

        Args:
            now_too: do not wait until the hour is over. What is used in the rest of it is billed with the next.

        Raises:
            Unavailable: the marketplace does not answer; what waits is sent at the next look.
        """
        await self.ledger.catch_up()
        waiting: list[MeterRecord] = []
        async for billed in self.resources():
            for unit in self.ledger.units:
                try:
                    record = await self._current(billed, unit, now_too=now_too)
                except MandateError as error:  # others are not to wait for it
                    _log.warning("metering.behind", extra={"code": error.code})
                    continue
                waiting += [record] if record else []
        taken = await self._send(waiting)
        await self._ask(waiting)
        return taken

    async def _current(self, billed: Billed, unit: str, *, now_too: bool) -> MeterRecord | None:
        """Return the account as it is now, durable; None where there is none, or nothing more comes of it."""
        key, now = meter_key(billed.resource, unit), self._clock.now()
        if billed.ended_at and now - billed.ended_at > _ENDED:
            return None
        before = now + account.MOMENT if now_too or billed.ended_at else parse_timestamp(account.hour_of(now))
        for _ in range(_ATTEMPTS):
            found = await self.records.get(MeterRecord, key)
            if found is None and unit not in billed.included:
                return None
            known = found.value if found else MeterRecord(resource=billed.resource, tenant=billed.tenant, unit=unit)
            record, over = account.tidied(await self._after(known, billed, now, before), now)
            for event in over:
                with suppress(PreconditionFailed):  # it was kept before
                    await self.records.put(f"{key}/{event.hour}", EmissionRecord(event=event), etag=None)
            if record == known:
                return record
            with suppress(PreconditionFailed):  # another process was faster: see what it did
                await self.records.put(key, record, etag=found.etag if found else None)
                _tell_lost(known, record)
                return record
        raise Conflict("Too many change this account at once.", retry_after=1)

    async def _after(self, record: MeterRecord, billed: Billed, now: datetime, before: datetime) -> MeterRecord:
        record = account.expired(record, now)
        if record.unit in billed.included:
            record = account.with_terms(record, billed)
            anew = record.recounted != timestamp(now)[:10]
            terms = [await self._counted(record, term, billed, before, now, anew=anew) for term in record.terms]
            record = record.model_copy(update={"terms": tuple(terms), "recounted": timestamp(now)[:10]})
            record = account.planned(record, billed, now, before=before)
        return account.given_up(record, billed, now)

    async def _counted(
        self, record: MeterRecord, term: Term, billed: Billed, before: datetime, now: datetime, *, anew: bool
    ) -> Term:
        if term.is_over:
            return term
        start = parse_timestamp(term.start)
        since = start if anew else max(start, parse_timestamp(term.counted))
        until = account.counted_until(term, billed, before)
        hours = await self.ledger.hours(record.tenant, record.unit, since, until)
        return account.recounted(term, 0 if anew else term.used, hours, now)

    async def _send(self, waiting: Sequence[MeterRecord]) -> int:
        planned = [(one, event) for one in waiting for event in one.events.values() if event.fate == "planned"]
        taken = 0
        for start in range(0, len(planned), MOST_IN_BATCH):
            batch = planned[start : start + MOST_IN_BATCH]
            answers = await self._api.emit([_sent(record, event) for record, event in batch])
            for (record, event), answer in zip(batch, answers, strict=True):
                taken += await self._settle(record, event, answer)
        return taken

    async def _settle(self, record: MeterRecord, event: Emission, answer: UsageAnswer | None) -> bool:
        """Write down what became of an event, and return whether the marketplace has it."""
        accepted = answer.accepted if answer else None
        if answer is None or accepted is None:
            return False
        if answer.status not in ("Accepted", "Duplicate"):
            _log.warning("metering.refused", extra={"code": answer.status})
        await self._change(record, lambda now: account.settled(now, event, answer.status, accepted))
        return answer.status in ("Accepted", "Duplicate")

    async def _ask(self, waiting: Sequence[MeterRecord]) -> None:
        """Learn from the marketplace's report what became of events whose answer never came in time."""
        unknown = [
            (record, day)
            for record in waiting
            for day in sorted({hour[:10] for hour, event in record.events.items() if event.fate == "unknown"})
        ]
        if not unknown:
            return
        lines = await self._api.reported(min(day for _, day in unknown))
        for record, day in unknown:
            await self._learn(record, day, units_of(lines, record, day))

    async def _learn(self, record: MeterRecord, day: str, reported: int) -> None:
        key, now = meter_key(record.resource, record.unit), self._clock.now()
        page = await self.records.list(EmissionRecord, prefix=f"{key}/{day}", limit=24)
        over = {found.value.event.hour: found.value.event.accepted for found in page.items}

        def told(current: MeterRecord) -> MeterRecord:
            open_ = {hour: event.accepted for hour, event in current.events.items() if hour.startswith(day)}
            return account.told(current, day, reported, sum({**over, **open_}.values()), now)

        await self._change(record, told)

    async def _change(self, record: MeterRecord, change: Callable[[MeterRecord], MeterRecord]) -> None:
        key = meter_key(record.resource, record.unit)
        for _ in range(_ATTEMPTS):
            found = await self.records.get(MeterRecord, key)
            if found is None or (after := change(found.value)) == found.value:
                return
            with suppress(PreconditionFailed):
                await self.records.put(key, after, etag=found.etag)
                return
        raise Conflict("Too many change this account at once.", retry_after=1)


def units_of(lines: Sequence[Reported], record: MeterRecord, day: str) -> int:
    """Return the units that the marketplace reports for an account and a day."""
    resource = record.resource
    own = [line for line in lines if line.is_of(resource.id, resource.uri, record.unit) and line.day[:10] == day]
    return sum(line.quantity for line in own if line.status in ("", "Accepted"))


def _sent(record: MeterRecord, event: Emission) -> UsageEvent:
    return UsageEvent(record.resource, record.unit, event.hour, event.quantity, event.plan)


def _tell_lost(before: MeterRecord, after: MeterRecord) -> None:
    lost: Mapping[str, int] = {term.start: term.lost for term in before.terms}
    if units := sum(term.lost - lost.get(term.start, 0) for term in after.terms):
        _log.error("metering.lost", extra={"units": units})

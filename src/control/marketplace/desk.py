"""What the marketplace tells us, taken at once and done after; and whether we still agree with it.

A delivery only says where to look: whatever it is about, the marketplace is asked how the operation and the
subscription are now. So it makes no difference in which order deliveries come, how often, or whether one never does.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Literal

from control import contexts
from control.marketplace.endings import Endings
from control.marketplace.offer import CHANGES, Refusal
from control.marketplace.port import Marketplace
from control.marketplace.records import (
    RECONCILIATION_KEY,
    DeliveryRecord,
    OpenDelivery,
    Outcome,
    ReconciliationRecord,
    SubscriptionRecord,
)
from control.marketplace.shapes import Notice, Operation, Subscription
from control.marketplace.subscriptions import Subscriptions
from core import Clock, timestamp
from core.errors import Conflict, MandateError, NotFound, PreconditionFailed, Unavailable
from data import Records, Store, Versioned
from telemetry import meter_drift

LOOKS_EVERY = timedelta(seconds=5)
"""What another process took, or what failed, waits so long at most when it is due."""

RECONCILES_EVERY = timedelta(minutes=15)
LONGEST_WAIT = timedelta(minutes=10)
"""Between two tries of one delivery."""

_STILL_SETTLING = 6
"""So often we look again whether a change that we accepted has been made; reconciliation looks later."""

_MOST_DRIFTED = 100
_log = logging.getLogger(__name__)


class Desk:
    def __init__(self, store: Store, clock: Clock, marketplace: Marketplace, subscriptions: Subscriptions) -> None:
        self._store = store
        self.clock = clock
        self._marketplace = marketplace
        self._subscriptions = subscriptions
        self._endings = Endings(store, clock, subscriptions)
        self._wake = asyncio.Event()

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("marketplace")).records

    async def take(self, notice: Notice) -> None:
        """Write a delivery down; durable on return. One that was taken before is not taken again."""
        now = timestamp(self.clock.now())
        record = DeliveryRecord(operation=notice.id, subscription=notice.subscription_id, at=now)
        try:
            await self._records.put(notice.id, record, etag=None)
        except PreconditionFailed:
            found = await self._records.get(DeliveryRecord, notice.id)
            if found is None or found.value.outcome:
                return
        with suppress(PreconditionFailed):  # it waits already
            opened = OpenDelivery(due=now, urgent=notice.action in CHANGES)
            await self._records.put(notice.id, opened, etag=None)
        self._wake.set()

    async def run(self) -> None:
        """Do what was taken, and compare with the marketplace from time to time, until cancelled."""
        reconciles_at = self.clock.now()
        while True:
            try:
                await self.do_due()
                if self.clock.now() >= reconciles_at:
                    reconciles_at = self.clock.now() + RECONCILES_EVERY
                    await self.reconcile()
            except MandateError as error:
                _log.warning("marketplace.behind", extra={"code": error.code})
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOKS_EVERY.total_seconds()):
                    await self._wake.wait()
            self._wake.clear()

    async def do_due(self) -> None:
        """Do every delivery that is due, each once, first those that an answer may be wanted to; what fails waits."""
        now = timestamp(self.clock.now())
        due = [waiting for waiting in await self.open() if waiting.value.due <= now]
        for waiting in sorted(due, key=lambda waiting: (not waiting.value.urgent, waiting.value.due)):
            await self._try(waiting)

    async def open(self) -> Sequence[Versioned[OpenDelivery]]:
        """Return the deliveries that are not done."""
        found, cursor = list[Versioned[OpenDelivery]](), None
        while True:
            page = await self._records.list(OpenDelivery, cursor=cursor)
            found += page.items
            if (cursor := page.cursor) is None:
                return found

    async def delivery(self, operation: str) -> DeliveryRecord | None:
        found = await self._records.get(DeliveryRecord, operation)
        return found.value if found else None

    async def last_comparison(self) -> ReconciliationRecord | None:
        found = await self._records.get(ReconciliationRecord, RECONCILIATION_KEY)
        return found.value if found else None

    async def reconcile(self) -> int:
        """Compare all subscriptions with the marketplace's, mend ours, and return how many differed."""
        drifted, seen, link = list[str](), 0, ""
        while True:
            page = await self._marketplace.page(link)
            for truth in page.subscriptions:
                drifted += [truth.id] if await self._mended(truth) else []
            seen += len(page.subscriptions)
            if not (link := page.next_link):
                break
        await self._note_comparison(seen, drifted)
        await self._look_ahead()
        _log.info("marketplace.reconciled", extra={"drifted": len(drifted)})
        return len(drifted)

    async def _note_comparison(self, seen: int, drifted: Sequence[str]) -> None:
        now, known = timestamp(self.clock.now()), await self._records.get(ReconciliationRecord, RECONCILIATION_KEY)
        record = ReconciliationRecord(at=now, seen=seen, drifted=tuple(drifted[:_MOST_DRIFTED]))
        with suppress(PreconditionFailed):  # another process has compared at this moment
            await self._records.put(RECONCILIATION_KEY, record, etag=known.etag if known else None)

    async def _mended(self, truth: Subscription) -> bool:
        """Ask for each that differs once more, by itself: the list may be older than what we know."""
        before = await self._subscriptions.find(truth.id)
        if before and _agrees(before, truth):
            await self._subscriptions.carry_on(before)  # whoever wrote it may have died before the tenant knew
            return False
        after = await self._subscriptions.refresh(truth.id, "reconciled", "drift")
        if before and before.history == after.history and before.term_end == after.term_end:
            return False
        if before and before.history == after.history:
            await self._subscriptions.record(after, "drift")  # the others were written down with the change
        meter_drift(contexts.publisher("marketplace"), kind=_differs(before, after))
        return True

    async def _look_ahead(self) -> None:
        """Have those erased whose time is over, and tell those whose term ends soon."""
        cursor = None
        while True:
            page = await self._subscriptions.all(cursor)
            for found in page.items:
                await self._subscriptions.expire(found.value)
                await self._endings.warn(found.value)
            if (cursor := page.cursor) is None:
                return

    async def _try(self, waiting: Versioned[OpenDelivery]) -> None:
        try:
            await self._do(waiting)
        except MandateError as error:
            _log.warning("marketplace.delivery_waits", extra={"code": error.code})
            tries = waiting.value.tries + 1
            wait = min(LONGEST_WAIT, timedelta(seconds=2.0 ** min(tries, 10)))
            due = timestamp(self.clock.now() + wait)
            later = waiting.value.model_copy(update={"tries": tries, "due": due})
            with suppress(PreconditionFailed):  # another process does it too
                await self._records.put(waiting.key, later, etag=waiting.etag)

    async def _do(self, waiting: Versioned[OpenDelivery]) -> None:
        delivery = await self._records.get(DeliveryRecord, waiting.key)
        if delivery and not delivery.value.outcome:
            outcome = await self._outcome(delivery.value, waiting.value.tries)
            with suppress(PreconditionFailed):
                done = delivery.value.model_copy(update={"outcome": outcome})
                await self._records.put(waiting.key, done, etag=delivery.etag)
        with suppress(PreconditionFailed):
            await self._records.delete(OpenDelivery, waiting.key, etag=waiting.etag)

    async def _outcome(self, delivery: DeliveryRecord, tries: int) -> Outcome:
        """Ask what the operation is, answer it where it waits for us, and take the subscription as it then is."""
        try:
            operation = await self._marketplace.operation(delivery.subscription, delivery.operation)
        except NotFound:
            return "unknown_operation"
        if operation.subscription_id != delivery.subscription:
            return "unknown_operation"
        refusal = await self._answer(operation)
        try:
            record = await self._subscriptions.refresh(delivery.subscription, delivery.operation)
        except NotFound:
            return "unknown_subscription"
        if refusal:
            return await self._after_refusal(operation, record)
        if tries < _STILL_SETTLING and await self._settles(operation, record):
            raise Unavailable("The marketplace has not made the change yet.", code="dependency.marketplace")
        return "adopted"

    async def _answer(self, operation: Operation) -> Refusal | None:
        """Accept or reject what waits for us, and return why it was rejected.

        The answer to a reinstatement is not needed any more, and does no harm. An answer to a change counts within ten
        seconds: https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-webhook
        """
        if operation.status != "InProgress" or operation.action not in (*CHANGES, "Reinstate"):
            return None
        known, refusal = await self._subscriptions.find(operation.subscription_id), None
        if operation.action in CHANGES:
            refusal = self._subscriptions.terms.changes.refusal(known, operation)
        with suppress(Conflict):  # it is settled, or is none of those that can be answered
            said = "Failure" if refusal else "Success"
            await self._marketplace.acknowledge(operation.subscription_id, operation.id, said)
        if refusal and known:
            await self._subscriptions.record(known, "refused")
        return refusal

    async def _after_refusal(self, operation: Operation, record: SubscriptionRecord) -> Outcome:
        """Say what became of a change that we rejected: it may have been made all the same, or before we answered."""
        asked = operation.plan_id if operation.action == "ChangePlan" else operation.quantity
        if asked != (record.plan if operation.action == "ChangePlan" else record.quantity):
            return "refused"
        if record.status == "Subscribed":
            await self._subscriptions.mark(record.id, review="change_against_rule")
        return "refused_in_vain"

    async def _settles(self, operation: Operation, record: SubscriptionRecord) -> bool:
        """Return whether a change is neither made nor dropped yet."""
        if operation.action not in CHANGES or operation.status != "InProgress":
            return False
        made = (record.plan, record.quantity) == (operation.plan_id or record.plan, operation.quantity)
        if made or record.status != "Subscribed":
            return False
        now = await self._marketplace.operation(operation.subscription_id, operation.id)
        return now.status == "InProgress"


def _differs(
    before: SubscriptionRecord | None, after: SubscriptionRecord
) -> Literal["unknown", "status", "plan", "quantity", "term"]:
    if before is None:
        return "unknown"
    if before.status != after.status:
        return "status"
    if before.plan != after.plan:
        return "plan"
    return "quantity" if before.quantity != after.quantity else "term"


def _agrees(record: SubscriptionRecord, truth: Subscription) -> bool:
    if record.review == "back_from_the_end":
        return True
    return (record.status, record.plan, record.quantity, record.term_end) == (
        truth.status,
        truth.plan_id,
        truth.quantity,
        truth.term.end_date,
    )

"""What the marketplace tells us, taken at once and done after; and whether we still agree with it.

A delivery only says where to look: whatever it is about, the marketplace is asked how the operation and the
subscription are now. So it makes no difference in which order deliveries come, how often, or whether one never does.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

from control import contexts
from control.marketplace.port import Marketplace
from control.marketplace.records import DeliveryRecord, OpenDelivery, Outcome, SubscriptionRecord
from control.marketplace.shapes import Notice, Operation, Subscription
from control.marketplace.states import may_change
from control.marketplace.subscriptions import Subscriptions
from core import Clock, timestamp
from core.errors import Conflict, MandateError, NotFound, PreconditionFailed, Unavailable
from data import Records, Store, Versioned

LOOKS_EVERY = timedelta(seconds=5)
"""What another process took, or what failed, waits so long at most when it is due."""

RECONCILES_EVERY = timedelta(minutes=15)
LONGEST_WAIT = timedelta(minutes=10)
"""Between two tries of one delivery."""

_STILL_SETTLING = 6
"""So often we look again whether a change that we accepted has been made; reconciliation looks later."""

_CHANGES = ("ChangePlan", "ChangeQuantity")
_log = logging.getLogger(__name__)


class Desk:
    def __init__(self, store: Store, clock: Clock, marketplace: Marketplace, subscriptions: Subscriptions) -> None:
        self._store = store
        self._clock = clock
        self._marketplace = marketplace
        self._subscriptions = subscriptions
        self._wake = asyncio.Event()

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("marketplace")).records

    async def take(self, notice: Notice) -> None:
        """Write a delivery down; durable on return. One that was taken before is not taken again."""
        now = timestamp(self._clock.now())
        record = DeliveryRecord(operation=notice.id, subscription=notice.subscription_id, at=now)
        try:
            await self._records.put(notice.id, record, etag=None)
        except PreconditionFailed:
            found = await self._records.get(DeliveryRecord, notice.id)
            if found is None or found.value.outcome:
                return
        with suppress(PreconditionFailed):  # it waits already
            await self._records.put(notice.id, OpenDelivery(due=now), etag=None)
        self._wake.set()

    async def run(self) -> None:
        """Do what was taken, and compare with the marketplace from time to time, until cancelled."""
        reconciles_at = self._clock.now()
        while True:
            try:
                await self.do_due()
                if self._clock.now() >= reconciles_at:
                    reconciles_at = self._clock.now() + RECONCILES_EVERY
                    await self.reconcile()
            except MandateError as error:
                _log.warning("marketplace.behind", extra={"code": error.code})
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOKS_EVERY.total_seconds()):
                    await self._wake.wait()
            self._wake.clear()

    async def do_due(self) -> None:
        """Do every delivery that is due, each once; what fails is tried again later."""
        now, cursor = timestamp(self._clock.now()), None
        while True:
            page = await self._records.list(OpenDelivery, cursor=cursor)
            for waiting in page.items:
                if waiting.value.due <= now:
                    await self._try(waiting)
            if (cursor := page.cursor) is None:
                return

    async def reconcile(self) -> int:
        """Compare all subscriptions with the marketplace's, mend ours, and return how many differed."""
        drifted, link = 0, ""
        while True:
            page = await self._marketplace.page(link)
            for truth in page.subscriptions:
                drifted += await self._mended(truth)
            if not (link := page.next_link):
                break
        await self._expire()
        _log.info("marketplace.reconciled", extra={"drifted": drifted})
        return drifted

    async def _mended(self, truth: Subscription) -> bool:
        """Ask for each that differs once more, by itself: the list may be older than what we know."""
        before = await self._subscriptions.find(truth.id)
        if before and _agrees(before, truth):
            await self._subscriptions.carry_on(before)  # whoever wrote it may have died before the tenant knew
            return False
        after = await self._subscriptions.refresh(truth.id, "reconciled")
        return before is None or before.history != after.history

    async def _expire(self) -> None:
        cursor = None
        while True:
            page = await self._subscriptions.all(cursor)
            for found in page.items:
                await self._subscriptions.expire(found.value)
            if (cursor := page.cursor) is None:
                return

    async def _try(self, waiting: Versioned[OpenDelivery]) -> None:
        try:
            await self._do(waiting)
        except MandateError as error:
            _log.warning("marketplace.delivery_waits", extra={"code": error.code})
            tries = waiting.value.tries + 1
            wait = min(LONGEST_WAIT, timedelta(seconds=2.0 ** min(tries, 10)))
            later = OpenDelivery(tries=tries, due=timestamp(self._clock.now() + wait))
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
        await self._answer(operation)
        try:
            record = await self._subscriptions.refresh(delivery.subscription, delivery.operation)
        except NotFound:
            return "unknown_subscription"
        if tries < _STILL_SETTLING and await self._settles(operation, record):
            raise Unavailable("The marketplace has not made the change yet.", code="dependency.marketplace")
        return "adopted"

    async def _answer(self, operation: Operation) -> None:
        """Accept or reject what waits for us. That of a reinstatement is not needed any more, and does no harm."""
        if operation.status != "InProgress" or operation.action not in (*_CHANGES, "Reinstate"):
            return
        known = await self._subscriptions.find(operation.subscription_id)
        said = may_change(known, operation) if operation.action in _CHANGES else "Success"
        with suppress(Conflict):  # it is settled, or is none of those that can be answered
            await self._marketplace.acknowledge(operation.subscription_id, operation.id, said)

    async def _settles(self, operation: Operation, record: SubscriptionRecord) -> bool:
        """Return whether a change is neither made nor dropped yet."""
        if operation.action not in _CHANGES or operation.status != "InProgress":
            return False
        made = (record.plan, record.quantity) == (operation.plan_id or record.plan, operation.quantity)
        if made or record.status != "Subscribed":
            return False
        now = await self._marketplace.operation(operation.subscription_id, operation.id)
        return now.status == "InProgress"


def _agrees(record: SubscriptionRecord, truth: Subscription) -> bool:
    if record.review == "back_from_the_end":
        return True
    return (record.status, record.plan, record.quantity, record.term_end) == (
        truth.status,
        truth.plan_id,
        truth.quantity,
        truth.term.end_date,
    )

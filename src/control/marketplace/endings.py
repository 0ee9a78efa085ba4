"""Terms that end soon: the customer's owners and the publisher are told in time, once for each term."""

from datetime import timedelta

from control.marketplace.records import SubscriptionRecord
from control.marketplace.subscriptions import Subscriptions
from control.notices import NoticeRecord, give_notice
from core import Clock, parse_timestamp, timestamp
from core.errors import NotFound
from data import Store


class Endings:
    def __init__(self, store: Store, clock: Clock, subscriptions: Subscriptions) -> None:
        self._store = store
        self._clock = clock
        self._subscriptions = subscriptions

    async def warn(self, record: SubscriptionRecord) -> None:
        """Tell of a term that ends soon: an event, and a notice on the pages of the tenant's owners and admins.

        At its end a private offer's price gives way to that of the public list, if the subscription renews by itself:
        whether it came from one is not told, so everybody is told what will be.
        """
        if record.onboarding != "done" or not ends_soon(record, self._clock, self._subscriptions.terms.warns):
            return
        if record.warned_for == record.term_end:
            return
        until = parse_timestamp(record.term_end)
        notice = NoticeRecord(
            what="term_renews" if record.auto_renew else "term_ends",
            at=timestamp(self._clock.now()),
            until=timestamp(until),
            day=record.term_end[:10],
        )
        try:
            tenant = await self._subscriptions.directory.tenant(record.tenant)
        except NotFound:  # it was erased at its owner's wish
            return
        await give_notice(self._store, tenant, f"term-{record.term_end[:10]}", notice)
        await self._subscriptions.record(record, "term_ends")
        await self._subscriptions.mark(record.id, warned_for=record.term_end)


def ends_soon(record: SubscriptionRecord, clock: Clock, warns: timedelta) -> bool:
    """Return whether the term of an active subscription ends within that time."""
    if record.status != "Subscribed" or not record.term_end:
        return False
    try:
        left = parse_timestamp(record.term_end) - clock.now()
    except (TypeError, ValueError):  # the marketplace says something else than a time
        return False
    return timedelta() < left <= warns

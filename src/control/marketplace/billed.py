"""Which subscriptions are billed by use, as they are now."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Literal

from control.entitlements import Entitlements
from control.marketplace.metering_account import Billed
from control.marketplace.metering_records import Resource
from control.marketplace.records import Status, SubscriptionRecord
from control.marketplace.shapes import moment
from control.marketplace.subscriptions import Subscriptions

_STATUS: Mapping[Status, Literal["active", "suspended", "ended"]] = {
    "Subscribed": "active",
    "Suspended": "suspended",
    "Unsubscribed": "ended",
}


async def billed_subscriptions(
    subscriptions: Subscriptions, entitlements: Entitlements, now: datetime
) -> AsyncIterator[Billed]:
    """Give every subscription that has a tenant, or had one: what was used before its end is billed after."""
    async for record in subscriptions.every():
        if billed := await _billed(record, entitlements, now):
            yield billed


async def _billed(record: SubscriptionRecord, entitlements: Entitlements, now: datetime) -> Billed | None:
    start = _start(record, now)
    if record.status not in _STATUS or record.onboarding in ("none", "begun") or start is None:
        return None
    agreed = record.deal.included if record.deal and record.deal.plan == record.plan else None
    meters = await entitlements.meters(record.tenant, record.base_plan, agreed)
    return Billed(
        resource=Resource(id=record.id),
        tenant=record.tenant,
        plan=record.plan,
        included=meters.included,
        exactly=meters.exactly,
        status=_STATUS[record.status],
        term_start=start,
        term_end=moment(record.term_end),
        ended_at=moment(record.ended_at) if record.status == "Unsubscribed" else None,
    )


def _start(record: SubscriptionRecord, now: datetime) -> datetime | None:
    """Return when the term began; where the marketplace does not say, when we first saw it active.

    So it is too where it was renewed before its time: until the new term begins, units are of the one before.
    """
    told = moment(record.term_start)
    seen = (change.at for change in record.history if change.status == "Subscribed")
    return told if told and told <= now else moment(next(seen, ""))

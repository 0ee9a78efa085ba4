"""What a subscription becomes when the marketplace says how it is: a pure function, in any order, any number of times.

The states: https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-life-cycle
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Literal, get_args

from control.marketplace.records import Change, Review, Status, SubscriptionRecord
from control.marketplace.shapes import Subscription
from core import TenantId, derived_id, parse_timestamp, timestamp

MOST_CHANGES = 100
_OURS = ("onboarding", "history", "contact", "deal", "fixed", "warned_for")
"""What the marketplace does not say, and what it says therefore leaves alone."""

_NAME = 100

TENANT_STATUS: Mapping[Status, Literal["active", "suspended", "closed"]] = {
    "PendingFulfillmentStart": "suspended",
    "Subscribed": "active",
    "Suspended": "suspended",
    "Unsubscribed": "closed",
}
"""What a subscription in each state lets its tenant do: everything; read and export; the same, until it is erased."""


def base_plan(plan: str, plans: Collection[str], base: str) -> tuple[str, bool]:
    """Return the plan of ours that a marketplace's plan stands for, and whether that was found by rule.

    A plan id that we do not have is normal: private offers make them. It stands for the longest of ours that it begins
    with, as in `business-northwind-3y`, else for `base`.
    """
    if plan in plans:
        return plan, False
    begins = [ours for ours in plans if plan.startswith(f"{ours}-")]
    return max(begins, key=len, default=base), True


def adopt(
    known: SubscriptionRecord | None,
    truth: Subscription,
    *,
    plan: tuple[str, bool],
    now: datetime,
    cause: str,
) -> SubscriptionRecord:
    """Return the record after the marketplace has said how the subscription is.

    What is cancelled stays cancelled, whatever is said later: that is for a person to look at.
    """
    ours, by_rule = plan
    if known and known.status == "Unsubscribed" and truth.status != "Unsubscribed":
        return known.model_copy(update={"review": "back_from_the_end"})
    status = _status(known, truth)
    ended = timestamp(now) if status == "Unsubscribed" else ""
    review: Review = "status_unknown" if truth.status not in get_args(Status) else "plan_by_rule" if by_rule else ""
    record = SubscriptionRecord(
        id=truth.id,
        offer=truth.offer_id,
        name=_shown(truth.name),
        status=status,
        plan=truth.plan_id,
        base_plan=ours,
        quantity=truth.quantity,
        tenant=TenantId(derived_id("ten", "marketplace", truth.id)),
        beneficiary_tid=truth.beneficiary.tenant_id.lower(),
        beneficiary_oid=truth.beneficiary.object_id.lower(),
        bought_by_another=not truth.purchaser.same(truth.beneficiary),
        allowed=truth.allowed_customer_operations,
        term_start=truth.term.start_date,
        term_end=truth.term.end_date,
        term_unit=truth.term.term_unit,
        auto_renew=truth.auto_renew,
        review=review,
        ended_at=ended,
    )
    return _after(known, record, _change(record, timestamp(now), cause))


def is_over(record: SubscriptionRecord, grace: timedelta, now: datetime) -> bool:
    """Return whether a cancelled subscription's data may go."""
    return bool(record.ended_at) and now - parse_timestamp(record.ended_at) >= grace


def _status(known: SubscriptionRecord | None, truth: Subscription) -> Status:
    """Return the state; of a word that we do not know, the one that was, at first that nothing was begun."""
    for status in get_args(Status):
        if status == truth.status:
            return status
    return known.status if known else "PendingFulfillmentStart"


def _after(known: SubscriptionRecord | None, record: SubscriptionRecord, change: Change) -> SubscriptionRecord:
    if known is None:
        return record.model_copy(update={"history": (change,)})
    changed = (record.status, record.plan, record.quantity) != (known.status, known.plan, known.quantity)
    kept = {name: getattr(known, name) for name in _OURS} | {"ended_at": known.ended_at or record.ended_at}
    if not record.beneficiary_oid and record.beneficiary_tid == known.beneficiary_tid:
        kept |= {"beneficiary_oid": known.beneficiary_oid}  # they landed, and the marketplace gives no object id
    if known.review in ("second_subscription", "beneficiary_unknown") and known.onboarding == "none":
        kept |= {"review": known.review}
    if known.review == "change_against_rule" and not changed:
        kept |= {"review": known.review}
    merged = record.model_copy(update=kept)
    if known.onboarding == "erased":
        merged = merged.bare()
    return merged.model_copy(update={"history": (*known.history, change)[-MOST_CHANGES:]}) if changed else merged


def _change(record: SubscriptionRecord, at: str, cause: str) -> Change:
    return Change(at=at, cause=cause, status=record.status, plan=record.plan, quantity=record.quantity)


def _shown(name: str) -> str:
    """Return the name that the customer gave it, without what no name has in it."""
    return "".join(letter for letter in name if letter.isprintable())[:_NAME]

"""What can be told of how a subscription was sold, from what the marketplace says of it.

No field says that a private offer is attached, who sold it, what it costs, or in which instalments it is paid. What is
said here are hints; each is told as what was seen, and not as what it may mean.

https://learn.microsoft.com/partner-center/marketplace-offers/isv-customer-faq
"""

from collections.abc import Sequence
from typing import Literal

from control.marketplace.offer import MONTHS, Offer
from control.marketplace.records import SubscriptionRecord

Hint = Literal[
    "bought_by_another",
    "read_only",
    "as_of_a_provider",
    "private_plan",
    "offer_ids",
    "plan_by_rule",
    "longer_term",
    "fixed",
    "renews_at_list_price",
]


def hints(record: SubscriptionRecord, offer: Offer) -> Sequence[Hint]:
    """Return what was seen of a subscription that a public one of the customer's own would not have."""
    read_only = "Update" not in record.allowed
    listed = offer.plans.get(record.plan)
    seen: dict[Hint, bool] = {
        "bought_by_another": record.bought_by_another,
        "read_only": read_only,
        "as_of_a_provider": record.bought_by_another and record.allowed == ("Read",),
        "private_plan": bool(record.deal and record.deal.private),
        "offer_ids": bool(record.deal and record.deal.offers),
        "plan_by_rule": record.plan != record.base_plan and listed is None,
        "longer_term": bool(listed) and _months(record.term_unit) > _months(listed.term if listed else ""),
        "fixed": offer.changes.is_fixed(record),
        "renews_at_list_price": is_special(record) and record.auto_renew,
    }
    return [hint for hint, is_seen in seen.items() if is_seen]


def is_special(record: SubscriptionRecord) -> bool:
    """Return whether its price may be another than the public list's, by a hint of a private plan or offer."""
    return bool(record.deal and (record.deal.private or record.deal.offers))


def list_price(record: SubscriptionRecord, offer: Offer) -> int | None:
    """Return what it would bring in a month by the public list, in millionths of the currency; None if that is unknown.

    An estimate: discounts, taxes, fees, and what a private offer or a reseller agreed are not known here.
    """
    plan = offer.plans.get(record.plan) or offer.plans.get(record.base_plan)
    return plan.monthly(record.quantity) if plan and record.status == "Subscribed" else None


def _months(term: str) -> int:
    return MONTHS.get(term, 0)

"""What the publisher sells and by which rules: `environments/offer.yaml`."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from control.marketplace.records import SubscriptionRecord
from control.marketplace.shapes import Operation

MONTHS: Mapping[str, int] = {"P1M": 1, "P1Y": 12, "P2Y": 24, "P3Y": 36, "P4Y": 48, "P5Y": 60}
"""https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-subscription-api"""

TermUnit = Literal["P1M", "P1Y", "P2Y", "P3Y", "P4Y", "P5Y"]

Refusal = Literal["not_subscribed", "unreadable", "fixed", "rule", "seats"]
"""Why a change is not accepted."""

CHANGES = ("ChangePlan", "ChangeQuantity")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OfferPlan(_Strict):
    """A plan as the marketplace lists it.

    Attributes:
        micros: list price of one `term`, in millionths of the currency; of one seat where it is sold `per_seat`.
    """

    title: str
    micros: Annotated[int, Field(ge=0)]
    term: TermUnit
    per_seat: bool = False

    def monthly(self, quantity: int | None) -> int:
        """Return what a subscription brings in a month by list price, in millionths of the currency."""
        return self.micros * (quantity or 1 if self.per_seat else 1) // MONTHS[self.term]


class RefusedChange(_Strict):
    """A change from one plan to another that is not accepted; ids stand for those of private offers too."""

    source: Annotated[str, Field(alias="from")]
    target: Annotated[str, Field(alias="to")]


class ChangeRules(_Strict):
    """Which changes that a customer asks for are accepted: all that nothing here refuses.

    Attributes:
        fixed: plan ids, and ids of private offers, under which nothing changes within a term.
    """

    refuse: tuple[RefusedChange, ...] = ()
    least_seats: Annotated[int, Field(ge=1)] = 1
    most_seats: Annotated[int, Field(ge=1)] = 1_000_000
    fixed: frozenset[str] = frozenset()

    def is_fixed(self, record: SubscriptionRecord) -> bool:
        """Return whether plan and seats stay as they are: instalments of flexible billing forbid it, for one."""
        offers = record.deal.offers if record.deal else ()
        return record.fixed or not self.fixed.isdisjoint((record.plan, *offers))

    def refusal(self, record: SubscriptionRecord | None, operation: Operation) -> Refusal | None:
        """Return why a change is not accepted, None if it is.

        Going back to what is in force is what follows a change that was rejected, and is always accepted.
        """
        if record is None or record.status != "Subscribed":
            return "not_subscribed"
        if operation.action == "ChangeQuantity":
            return self._of_seats(record, operation.quantity)
        if not operation.plan_id:
            return "unreadable"
        if operation.plan_id == record.plan:
            return None
        if self.is_fixed(record):
            return "fixed"
        changes = [(rule.source, rule.target) for rule in self.refuse]
        return "rule" if any(_fits(record.plan, a) and _fits(operation.plan_id, b) for a, b in changes) else None

    def _of_seats(self, record: SubscriptionRecord, seats: int | None) -> Refusal | None:
        if seats is None or seats < 1:
            return "unreadable"
        if seats == record.quantity:
            return None
        if self.is_fixed(record):
            return "fixed"
        return None if self.least_seats <= seats <= self.most_seats else "seats"


class Offer(_Strict):
    """See the file; `application` is the product id of the managed application's offer."""

    name: str
    currency: str
    application: str
    plans: dict[str, OfferPlan]
    changes: ChangeRules
    warn_days: Annotated[int, Field(ge=1)]

    @property
    def warns(self) -> timedelta:
        return timedelta(days=self.warn_days)


def load_offer(path: Path) -> Offer:
    return Offer.model_validate(yaml.safe_load(path.read_text("utf-8")))


def _fits(plan: str, rule: str) -> bool:
    return plan == rule or plan.startswith(f"{rule}-")

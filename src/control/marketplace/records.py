"""What is kept of the marketplace: subscriptions, what it told us, who is on the landing page. All the publisher's."""

from typing import ClassVar, Literal

from pydantic import ConfigDict

from core import TenantId
from data import Record

Status = Literal["PendingFulfillmentStart", "Subscribed", "Suspended", "Unsubscribed"]
Onboarding = Literal["none", "begun", "done", "erased"]
Outcome = Literal["", "adopted", "unknown_operation", "unknown_subscription"]
Review = Literal["", "plan_by_rule", "second_subscription", "status_unknown", "back_from_the_end"]


class _Strict(Record):
    kind: ClassVar[str] = ""
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Strict):
    """One line of a subscription's history.

    Attributes:
        cause: the operation's id, or what else made us look.
    """

    at: str
    cause: str
    status: Status
    plan: str
    quantity: int | None


class SubscriptionRecord(_Strict):
    """A subscription. Key: its id, which the marketplace minted.

    Attributes:
        status: as the marketplace has it, which is the truth.
        plan: as it was bought; `base_plan` is the one of ours that says what it entitles to.
        tenant: ours, derived from the id: onboarding again finds what it began.
        beneficiary_tid: with `beneficiary_oid`, who may use it; both go when the tenant is erased.
        onboarding: how far taking the tenant on has come.
        review: why a person of the publisher's should look at it.
        ended_at: when we saw that it was cancelled.
        history: what it was before, oldest first, the last hundred changes.
    """

    kind: ClassVar[str] = "subscription"
    id: str
    offer: str
    name: str
    status: Status
    plan: str
    base_plan: str
    quantity: int | None
    tenant: TenantId
    beneficiary_tid: str
    beneficiary_oid: str
    bought_by_another: bool
    allowed: tuple[str, ...]
    term_start: str
    term_end: str
    term_unit: str
    auto_renew: bool
    onboarding: Onboarding = "none"
    review: Review = ""
    ended_at: str = ""
    history: tuple[Change, ...] = ()

    @property
    def is_bare(self) -> bool:
        return self == self.bare()

    def bare(self) -> "SubscriptionRecord":
        """Return what is left when its tenant is erased: that there was one, and no word of for whom."""
        gone = {"beneficiary_tid": "", "beneficiary_oid": "", "name": "", "onboarding": "erased"}
        return self.model_copy(update=gone)


class DeliveryRecord(_Strict):
    """An operation that the marketplace told us of. Key: its id, so that it is taken once.

    Attributes:
        outcome: empty until it is done.
    """

    kind: ClassVar[str] = "delivery"
    operation: str
    subscription: str
    at: str
    outcome: Outcome = ""


class OpenDelivery(_Strict):
    """That a delivery is not done, under its key.

    Attributes:
        tries: so many have failed; `due` is when it is tried again.
    """

    kind: ClassVar[str] = "open_delivery"
    tries: int = 0
    due: str


class LandingRecord(_Strict):
    """Somebody on the landing page. Key: SHA-256 in hex of what their browser's cookie holds."""

    kind: ClassVar[str] = "landing"
    subscription: str
    is_beneficiary: bool
    until: str

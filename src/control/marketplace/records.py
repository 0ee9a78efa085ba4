"""What is kept of the marketplace: subscriptions, what it told us, who is on the landing page. All the publisher's."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import ConfigDict

from core import ContentRef, TenantId
from data import Record

Status = Literal["PendingFulfillmentStart", "Subscribed", "Suspended", "Unsubscribed"]
Onboarding = Literal["none", "begun", "done", "erased"]
Outcome = Literal["", "adopted", "refused", "refused_in_vain", "unknown_operation", "unknown_subscription"]
Review = Literal[
    "",
    "plan_by_rule",
    "second_subscription",
    "status_unknown",
    "back_from_the_end",
    "beneficiary_unknown",
    "change_against_rule",
]


class _Strict(Record):
    kind: ClassVar[str] = ""
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Strict):
    """One line of a subscription's history.

    Attributes:
        cause: the operation's id, or what else made us look; `act.` and what it was, of what the publisher's people do.
        by: pseudonym of whoever of them that was; `reason` why.
    """

    at: str
    cause: str
    status: Status
    plan: str
    quantity: int | None
    by: str = ""
    reason: ContentRef | None = None


class Deal(_Strict):
    """What the list of available plans said of `plan` in a term: asked once for each. See docs/marketplace.md.

    Attributes:
        term_start: of the term.
        private: only who was chosen can buy the plan: a hint of a private offer at most.
        offers: ids of what it came from, likewise.
        included: units that the price of the term includes, by unit, as far as it says so: deals differ in them.
    """

    plan: str
    term_start: str = ""
    private: bool
    offers: tuple[str, ...]
    included: Mapping[str, int] = {}


class SubscriptionRecord(_Strict):
    """A subscription. Key: its id, which the marketplace minted.

    Attributes:
        status: as the marketplace has it, which is the truth.
        plan: as it was bought; `base_plan` is the one of ours that says what it entitles to.
        tenant: ours, derived from the id: onboarding again finds what it began.
        beneficiary_tid: with `beneficiary_oid`, who may use it; both go when the tenant is erased.
        onboarding: how far taking the tenant on has come.
        review: why a person of the publisher's should look at it.
        contact: an e-mail address to write to about it, content of the publisher's; goes when the tenant is erased.
        deal: None until the marketplace was asked.
        fixed: the publisher's people say that its plan and seats do not change within the term.
        warned_for: the term's end that the tenant was warned of.
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
    contact: ContentRef | None = None
    deal: Deal | None = None
    fixed: bool = False
    warned_for: str = ""

    @property
    def said(self) -> tuple[ContentRef, ...]:
        """What people wrote about it: to be erased before it is `bare`."""
        reasons = [change.reason for change in self.history if change.reason]
        return (*reasons, self.contact) if self.contact else tuple(reasons)

    @property
    def is_bare(self) -> bool:
        return self == self.bare()

    def bare(self) -> "SubscriptionRecord":
        """Return what is left when its tenant is erased: that there was one, and no word of for whom."""
        gone = {"beneficiary_tid": "", "beneficiary_oid": "", "name": "", "onboarding": "erased", "contact": None}
        history = tuple(change.model_copy(update={"reason": None}) for change in self.history)
        return self.model_copy(update={**gone, "history": history})


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
        urgent: it may wait for our answer, which counts for ten seconds only: it is done before others.
    """

    kind: ClassVar[str] = "open_delivery"
    tries: int = 0
    due: str
    urgent: bool = False


class ReconciliationRecord(_Strict):
    """The last comparison with the marketplace. Key: `RECONCILIATION_KEY`.

    Attributes:
        seen: so many subscriptions were compared.
        drifted: those that differed, a hundred at most.
    """

    kind: ClassVar[str] = "reconciliation"
    at: str
    seen: int
    drifted: tuple[str, ...]


RECONCILIATION_KEY = "last"


class LandingRecord(_Strict):
    """Somebody on the landing page. Key: SHA-256 in hex of what their browser's cookie holds."""

    kind: ClassVar[str] = "landing"
    subscription: str
    is_beneficiary: bool
    until: str
    asks_contact: bool = False
    """The marketplace knows no e-mail address of the beneficiary."""

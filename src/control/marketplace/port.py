"""What the control plane asks of the marketplace."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from control.marketplace.metering_records import Resource
from control.marketplace.shapes import AvailablePlan, Operation, Reported, Subscription, SubscriptionPage, UsageAnswer

MOST_IN_BATCH = 25
"""https://learn.microsoft.com/partner-center/marketplace-offers/marketplace-metering-service-apis"""


class Marketplace(Protocol):
    """All raise `Unavailable` where it does not answer (`dependency.marketplace`), and may then be asked again."""

    async def resolve(self, token: str) -> Subscription:
        """Return what a landing token stands for.

        Raises:
            NotFound: it has expired, or is none.
        """
        ...

    async def subscription(self, subscription: str) -> Subscription:
        """Return a subscription as it is; `NotFound` if there is none."""
        ...

    async def page(self, link: str = "") -> SubscriptionPage:
        """Return a page of all subscriptions, the first or the one that `link` leads to."""
        ...

    async def operation(self, subscription: str, operation: str) -> Operation:
        """Return an operation as it is; `NotFound` if the marketplace does not know it."""
        ...

    async def activate(self, subscription: str, plan: str, quantity: int | None) -> None:
        """Begin the subscription, and with it the bill.

        Raises:
            Conflict: the marketplace refuses: it may be active already.
        """
        ...

    async def acknowledge(self, subscription: str, operation: str, status: Literal["Success", "Failure"]) -> None:
        """Accept or reject a change; `Conflict` where it is settled, or none of those that can be."""
        ...

    async def change(self, subscription: str, *, plan: str | None = None, quantity: int | None = None) -> None:
        """Ask for another plan or another number of seats, one of the two. It is made later, as a webhook tells.

        Raises:
            Conflict: the marketplace refuses.
        """
        ...

    async def pending(self, subscription: str) -> tuple[Operation, ...]:
        """Return the operations that are under way."""
        ...

    async def available(self, subscription: str, plan: str) -> tuple[AvailablePlan, ...]:
        """Return what is told of a plan that the subscription can have; nothing where it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """What is sent: so many units of `dimension` in the hour that begins at `hour`, RFC 3339 in UTC."""

    resource: Resource
    dimension: str
    hour: str
    quantity: int
    plan: str


class MeterApi(Protocol):
    """Metered billing; raises `Unavailable` as `Marketplace` does."""

    async def emit(self, events: Sequence[UsageEvent]) -> Sequence[UsageAnswer | None]:
        """Send 25 events at most, and return what became of each; None where the answer does not say.

        Whoever gets no answer sends the same again: what was taken then comes back as a duplicate.
        """
        ...

    async def reported(self, since: str) -> Sequence[Reported]:
        """Return the marketplace's report of what it accepted from the day `since` on, such as `2026-11-23`."""
        ...

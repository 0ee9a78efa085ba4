"""What the control plane asks of the marketplace."""

from typing import Literal, Protocol

from control.marketplace.shapes import Operation, Subscription, SubscriptionPage


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

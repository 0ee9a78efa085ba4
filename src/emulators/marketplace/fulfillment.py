"""The rules of subscriptions: what their calls and what customers may do, and what follows.

https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-life-cycle
https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-subscription-api
https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-operations-api
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

from core.clock import timestamp
from emulators.marketplace.book import (
    Action,
    Delivery,
    Landing,
    Operation,
    OperationStatus,
    Person,
    State,
    Status,
    Subscription,
    Term,
)
from emulators.marketplace.catalogue import Buyer, Catalogue, Organisation, Plan
from emulators.marketplace.errors import bad, broken, missing, overtaken

TOKEN_HOURS = 24
"""https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-subscription-api#resolve-a-purchased-subscription"""

ACCEPTED_AFTER = 10.0
"""Seconds: a change that nobody rejects by then is made.

https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-webhook
"""

_DAYS = {"P1M": 30, "P1Y": 365, "P2Y": 730, "P3Y": 1095}
Source = Literal["Azure", "Partner"]

Deal = Literal["public", "customer", "multiparty", "resale", "csp"]
"""How it was sold: from the public list, by a private offer of the publisher's to a customer, with a partner, by a
partner's resale, or by a cloud solution provider.

https://learn.microsoft.com/partner-center/marketplace-offers/private-offers-overview
"""


class Fulfillment:
    """What happens to subscriptions in `state`, at the time `now`."""

    def __init__(self, state: State, catalogue: Catalogue, now: datetime) -> None:
        self._state = state
        self._catalogue = catalogue
        self._now = now

    def buy(
        self,
        beneficiary: tuple[Organisation, Buyer],
        purchaser: tuple[Organisation, Buyer],
        plan: Plan,
        *,
        name: str,
        quantity: int | None,
        deal: Deal = "public",
    ) -> Subscription:
        """Make a subscription, which waits for its landing unless its plan activates by itself.

        No field of it says how it was sold: of a provider's purchase the customer may only read, and a private offer
        leaves an id with the plans that are available.
        """
        csp = deal == "csp"
        now = timestamp(self._now)
        subscription = Subscription(
            id=str(uuid4()),
            publisher_id=self._catalogue.publisher,
            offer_id=self._catalogue.offer,
            name=name,
            saas_subscription_status="PendingFulfillmentStart",
            beneficiary=_person(beneficiary),
            purchaser=_person(purchaser),
            plan_id=plan.id,
            quantity=_seats(plan, quantity),
            term=Term(start_date=None, end_date=None, term_unit=plan.term),
            allowed_customer_operations=["Read"] if csp else ["Read", "Update", "Delete"],
            sandbox_type="Csp" if csp else "None",
            created=now,
            last_modified=now,
        )
        self._state.subscriptions[subscription.id] = subscription
        if plan.private or deal in ("customer", "multiparty", "resale"):
            self._state.source_offers[subscription.id] = str(uuid4())
        if plan.auto_activated:
            before = subscription.model_copy(deep=True)
            self._begin_term(subscription)
            self._operation(subscription, before, "Subscribe", "Succeeded")
        return subscription

    def land(self, subscription: str) -> str:
        """Return a new token for the landing page, good for a day."""
        token = secrets.token_urlsafe(48)
        until = self._now.timestamp() + TOKEN_HOURS * 3600
        self._state.landings[_hash(token)] = Landing(subscription=self.get(subscription).id, until=until)
        return token

    def resolve(self, token: str) -> Subscription:
        """Return what a landing token stands for; it can be resolved again until it expires."""
        landing = self._state.landings.get(_hash(token))
        if landing is None or landing.until < self._now.timestamp():
            raise bad("The x-ms-marketplace-token is missing, malformed, or expired.")
        return self.get(landing.subscription)

    def get(self, subscription: str) -> Subscription:
        found = self._state.subscriptions.get(subscription)
        if found is None:
            raise missing("The subscription was not found.")
        return found

    def activate(self, subscription: str, plan: str, quantity: int | None) -> None:
        found = self.get(subscription)
        match found.saas_subscription_status:
            case "PendingFulfillmentStart":
                pass
            case "Unsubscribed":
                raise missing("The subscription is Unsubscribed.")
            case status:
                raise bad(f"The subscription is {status} and cannot be activated.")
        if plan != found.plan_id or quantity not in (None, found.quantity):
            raise bad("planId or quantity do not match what was purchased.")
        self._begin_term(found)

    def change(
        self, subscription: str, *, plan: str | None = None, quantity: int | None = None, source: Source
    ) -> Operation:
        """Begin to change the plan or the quantity; it is made when it is accepted, or not rejected in time."""
        found = self.get(subscription)
        if (plan is None) == (quantity is None):
            raise bad("Give planId or quantity, and not both.")
        self._check_allowed(found, "Update")
        if found.saas_subscription_status != "Subscribed":
            raise bad("Only a Subscribed subscription can be changed.")
        wanted = self._catalogue.plan(plan or found.plan_id)
        if wanted is None or plan == found.plan_id:
            raise bad("The plan is not known, or is the current one.")
        if quantity is not None and (quantity == found.quantity or not _fits(wanted, quantity)):
            raise bad("The quantity is unchanged, or outside of the plan's limits.")
        action: Action = "ChangePlan" if plan else "ChangeQuantity"
        seats = quantity or (_seats(wanted, found.quantity) if plan else found.quantity)
        operation = self._operation(found, found.model_copy(deep=True), action, "InProgress", source)
        operation.plan_id, operation.quantity = wanted.id, seats
        return operation

    def cancel(self, subscription: str, source: Source) -> Operation:
        found = self.get(subscription)
        self._check_allowed(found, "Delete")
        if found.saas_subscription_status == "Unsubscribed":
            raise missing("The subscription is Unsubscribed.")
        before = found.model_copy(deep=True)
        self._becomes(found, "Unsubscribed")
        self._state.ended_at[subscription] = self._now.timestamp()
        return self._operation(found, before, "Unsubscribe", "Succeeded", source)

    def suspend(self, subscription: str) -> Operation:
        """Suspend, as when a payment fails: the state changes before the publisher is told."""
        return self._moves(subscription, "Subscribed", "Suspended", "Suspend", "Succeeded")

    def reinstate(self, subscription: str) -> Operation:
        return self._moves(subscription, "Suspended", "Subscribed", "Reinstate", "InProgress")

    def renew(self, subscription: str) -> Operation:
        """Begin the next term."""
        found = self.get(subscription)
        if found.saas_subscription_status != "Subscribed" or found.term.end_date is None:
            raise bad("Only a Subscribed subscription renews.")
        before = found.model_copy(deep=True)
        self._begin_term(found, datetime.fromisoformat(found.term.end_date))
        return self._operation(found, before, "Renew", "Succeeded")

    def operation(self, subscription: str, operation: str) -> Operation:
        found = self._state.operations.get(operation)
        if found is None or found.subscription_id != subscription:
            raise bad("The operation was not found.")  # production says 400 where the page says 404
        return found

    def acknowledge(self, subscription: str, operation: str, status: str) -> None:
        found = self.operation(subscription, operation)
        if found.operation_request_source == "Partner":
            raise broken("An operation of the publisher's own is not acknowledged.")
        if found.status != "InProgress":
            raise overtaken("A newer update was already fulfilled.")
        self.settle(found, accepted=status != "Failure")

    def settle(self, operation: Operation, *, accepted: bool) -> None:
        """Make a change that was accepted, or drop one that was rejected."""
        operation.status, operation.settles_at = "Succeeded" if accepted else "Failed", None
        if accepted and operation.action in ("ChangePlan", "ChangeQuantity"):
            found = self.get(operation.subscription_id)
            found.plan_id, found.quantity = operation.plan_id, operation.quantity
            found.last_modified = timestamp(self._now)

    def settle_due(self) -> bool:
        """Take for accepted what nobody rejected in time; return whether there was any."""
        now = self._now.timestamp()
        due = [o for o in self._state.operations.values() if o.settles_at is not None and o.settles_at <= now]
        for operation in due:
            self.settle(operation, accepted=True)
        return bool(due)

    def revert(self, operation: str) -> Operation:
        """Tell the publisher to go back to what is in force, as happens after a rejected change."""
        rejected = self._state.operations[operation]
        found = self.get(rejected.subscription_id)
        return self._operation(found, found.model_copy(deep=True), rejected.action, "InProgress")

    def _moves(
        self, subscription: str, before: Status, after: Status, action: Action, status: OperationStatus
    ) -> Operation:
        found = self.get(subscription)
        if found.saas_subscription_status != before:
            raise bad(f"Only a {before} subscription can be told to {action}.")
        was = found.model_copy(deep=True)
        self._becomes(found, after)
        return self._operation(found, was, action, status)

    def _check_allowed(self, subscription: Subscription, operation: str) -> None:
        if operation not in subscription.allowed_customer_operations:
            raise bad(f"{operation} is not in allowedCustomerOperations.")

    def _becomes(self, subscription: Subscription, status: Status) -> None:
        subscription.saas_subscription_status = status
        subscription.last_modified = timestamp(self._now)

    def _begin_term(self, subscription: Subscription, start: datetime | None = None) -> None:
        start = start or self._now.astimezone(UTC)
        self._becomes(subscription, "Subscribed")
        subscription.term.start_date = timestamp(start)
        subscription.term.end_date = timestamp(start + timedelta(days=_DAYS[subscription.term.term_unit]))

    def _operation(
        self,
        subscription: Subscription,
        before: Subscription,
        action: Action,
        status: OperationStatus,
        source: Source = "Azure",
    ) -> Operation:
        """Write an operation down and its webhook with it."""
        now = self._now.timestamp()
        operation = Operation(
            id=str(uuid4()),
            activity_id=str(uuid4()),
            subscription_id=subscription.id,
            offer_id=subscription.offer_id,
            publisher_id=subscription.publisher_id,
            plan_id=subscription.plan_id,
            quantity=subscription.quantity,
            action=action,
            time_stamp=timestamp(self._now),
            status=status,
            operation_request_source=source,
            before=before,
            settles_at=now + ACCEPTED_AFTER if status == "InProgress" else None,
        )
        self._state.operations[operation.id] = operation
        self._state.deliveries.append(Delivery(operation=operation.id, due=now))
        return operation


def _person(found: tuple[Organisation, Buyer]) -> Person:
    organisation, user = found
    email, object_id = ("", "") if user.by_puid else (user.username, user.object_id)
    return Person(email_id=email, object_id=object_id, tenant_id=organisation.tid, puid=user.puid)


def _seats(plan: Plan, quantity: int | None) -> int | None:
    if plan.seats is None:
        return None
    seats = quantity or plan.seats.least
    if not _fits(plan, seats):
        raise bad("The quantity is outside of the plan's limits.")
    return seats


def _fits(plan: Plan, quantity: int) -> bool:
    return plan.seats is not None and plan.seats.least <= quantity <= plan.seats.most


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

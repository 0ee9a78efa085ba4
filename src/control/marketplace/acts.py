"""What the publisher's people do to a subscription: written down with who and why before it is done."""

from datetime import timedelta

from control import contexts
from control.marketplace.port import Marketplace
from control.marketplace.records import SubscriptionRecord
from control.marketplace.subscriptions import Subscriptions
from control.notices import NoticeRecord, forget_old_notices, give_notice
from control.records import TenantRecord
from core import Clock, TenantContext, new_id, timestamp
from core.errors import Conflict, NotFound
from data import Store


class Acts:
    def __init__(self, store: Store, clock: Clock, marketplace: Marketplace, subscriptions: Subscriptions) -> None:
        self._store = store
        self._clock = clock
        self._marketplace = marketplace
        self._subscriptions = subscriptions

    async def activate(self, by: TenantContext, subscription: str, reason: str) -> SubscriptionRecord:
        """Begin a subscription for the customer, who has agreed: with it the bill begins.

        Raises:
            NotFound: there is no such subscription.
            Conflict: it waits for no beginning, or the marketplace refuses.
        """
        bought = await self._known(subscription)
        if bought.status != "PendingFulfillmentStart":
            raise Conflict("This subscription does not wait for its beginning.", code="subscription.state")
        await self._subscriptions.note(by, subscription, "act.activate", reason)
        await self._marketplace.activate(subscription, bought.plan, bought.quantity)
        return await self._subscriptions.refresh(subscription, "act.activate", "activated")

    async def change(
        self, by: TenantContext, subscription: str, reason: str, *, plan: str | None, quantity: int | None
    ) -> SubscriptionRecord:
        """Ask the marketplace for another plan or other seats; the webhook tells when it is made.

        Raises:
            NotFound: there is no such subscription.
            Conflict: it cannot be changed now, or from here.
        """
        bought = await self._known(subscription)
        if bought.status != "Subscribed" or "Update" not in bought.allowed:
            raise Conflict("This subscription cannot be changed from here.", code="subscription.state")
        if self._subscriptions.terms.changes.is_fixed(bought):
            raise Conflict("Its plan and seats are fixed. Release them first.", code="subscription.fixed")
        await self._subscriptions.note(by, subscription, "act.change", reason)
        await self._marketplace.change(subscription, plan=plan, quantity=None if plan else quantity)
        return await self._known(subscription)

    async def fix(self, by: TenantContext, subscription: str, reason: str, *, fixed: bool) -> SubscriptionRecord:
        """Say that plan and seats do not change within the term, as flexible billing demands, or that they may."""
        await self._known(subscription)
        await self._subscriptions.note(by, subscription, "act.fix" if fixed else "act.release", reason, fixed=fixed)
        return await self._known(subscription)

    async def notify(self, by: TenantContext, tenant: TenantRecord, text: str, days: int) -> None:
        """Tell a tenant's owners and admins something, on their pages, for so many days."""
        now = self._clock.now()
        await forget_old_notices(self._store.tenant(contexts.platform(tenant, "notice")), now)
        until = timestamp(now + timedelta(days=days))
        await self._subscriptions.note_of_tenant(by, tenant.id, "act.notify", text)
        notice = NoticeRecord(what="message", at=timestamp(now), until=until)
        await give_notice(self._store, tenant, new_id("ntc"), notice, text)

    async def _known(self, subscription: str) -> SubscriptionRecord:
        found = await self._subscriptions.find(subscription)
        if found is None:
            raise NotFound("There is no such subscription.")
        return found

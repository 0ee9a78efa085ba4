"""Subscriptions as records that follow the marketplace, and the tenants that follow them."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from control import contexts
from control.access import AccessLog
from control.directory import Directory
from control.erasures import Erasures
from control.marketplace.port import Marketplace
from control.marketplace.records import Onboarding, Review, SubscriptionRecord
from control.marketplace.states import TENANT_STATUS, adopt, base_plan, is_over
from control.records import PERSONAL_ACCOUNTS, TenantRecord, owner_mark
from core import Clock
from core.errors import Conflict, NotFound, PreconditionFailed
from data import Page, Records, Store, Versioned

_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Terms:
    """What the publisher has laid down: `marketplace` of `environments/plans.yaml`.

    Attributes:
        plans: ours.
        base: the plan that one we do not know stands for, unless it begins with one of ours.
        region: where new tenants are; `stamp` the deployment that holds them.
        grace: how long a cancelled tenant's data can still be taken away.
    """

    plans: Collection[str]
    base: str
    region: str
    stamp: str
    grace: timedelta


class Subscriptions:
    """Brings our records, and their tenants, to what the marketplace says; again and again changes nothing."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        marketplace: Marketplace,
        directory: Directory,
        erasures: Erasures,
        access: AccessLog,
        terms: Terms,
    ) -> None:
        self._store = store
        self._clock = clock
        self._marketplace = marketplace
        self._directory = directory
        self._erasures = erasures
        self._access = access
        self._terms = terms

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("marketplace")).records

    async def find(self, subscription: str) -> SubscriptionRecord | None:
        found = await self._records.get(SubscriptionRecord, subscription)
        return found.value if found else None

    async def all(self, cursor: str | None = None, limit: int = 100) -> Page[Versioned[SubscriptionRecord]]:
        return await self._records.list(SubscriptionRecord, cursor=cursor, limit=limit)

    async def refresh(self, subscription: str, cause: str) -> SubscriptionRecord:
        """Ask the marketplace how the subscription is, and make our record and the tenant so; durable on return.

        Whoever writes in between makes us ask once more: an answer that is older than the record never counts.

        Raises:
            NotFound: the marketplace does not know it.
            Unavailable: it does not answer.
        """
        for _ in range(_ATTEMPTS):
            found = await self._records.get(SubscriptionRecord, subscription)
            truth = await self._marketplace.subscription(subscription)
            plan = base_plan(truth.plan_id, self._terms.plans, self._terms.base)
            known = found.value if found else None
            record = adopt(known, truth, plan=plan, now=self._clock.now(), cause=cause)
            if record != known:
                try:
                    await self._records.put(subscription, record, etag=found.etag if found else None)
                except PreconditionFailed:
                    continue
                if known is None or record.history != known.history:
                    publisher = contexts.publisher("marketplace")
                    await self._access.admin(publisher, record.kind, subscription, str(len(record.history)))
            return await self.carry_on(record)
        raise Conflict("Too many change this subscription at once; try again in a moment.", retry_after=1)

    async def expire(self, record: SubscriptionRecord) -> None:
        """Have a cancelled tenant erased when its grace is over; the journal of erasures carries it from there."""
        if record.onboarding != "done" or not is_over(record, self._terms.grace, self._clock.now()):
            return
        if not await self._erasures.took(record.tenant):
            actor = contexts.publisher("marketplace").principal.actor
            await self._erasures.request(record.tenant, "tenant", record.tenant, actor, reason="contract_over")
        await self._mark(record.id, onboarding="erased")

    async def carry_on(self, record: SubscriptionRecord) -> SubscriptionRecord:
        """Take the tenant on, or go on where that was cut short, or tell it what its subscription is now."""
        match record.onboarding:
            case "none" if record.status == "Subscribed":
                if await self._is_taken(record):
                    return await self._mark(record.id, review="second_subscription")
                review = "" if record.review == "second_subscription" else record.review
                return await self._take_on(await self._mark(record.id, onboarding="begun", review=review))
            case "begun":
                return await self._take_on(record)
            case "done":
                await self._sync(record)
                return record
            case "none" | "erased":
                return record

    async def _is_taken(self, record: SubscriptionRecord) -> bool:
        bound = await self._directory.bound_to(record.beneficiary_tid, record.beneficiary_oid)
        return bound not in (None, record.tenant)

    async def _take_on(self, record: SubscriptionRecord) -> SubscriptionRecord:
        """Each step finds what it did before: the tenant's id belongs to the subscription's."""
        tid, oid = record.beneficiary_tid, record.beneficiary_oid
        tenant = TenantRecord(
            id=record.tenant,
            name=record.name or "Subscription",
            plan=record.base_plan,
            region=self._terms.region,
            stamp=self._terms.stamp,
            owner=owner_mark(tid, oid),
        )
        with suppress(Conflict):  # it is there, and was changed since: the id is derived, so it is this one
            if await self._directory.create_tenant(tenant):
                await self._access.admin(contexts.publisher("marketplace"), tenant.kind, tenant.id, "1")
        await self._directory.bind(tid, tenant.id, oid=oid if tid == PERSONAL_ACCOUNTS else "")
        await self._sync(record)
        return await self._mark(record.id, onboarding="done")

    async def _sync(self, record: SubscriptionRecord) -> None:
        with suppress(NotFound):  # it was erased at its owner's wish
            await self._directory.update(record.tenant, plan=record.base_plan, status=TENANT_STATUS[record.status])

    async def _mark(
        self, subscription: str, *, onboarding: Onboarding | None = None, review: Review | None = None
    ) -> SubscriptionRecord:
        changes: dict[str, object] = {"onboarding": onboarding} if onboarding else {}
        if review is not None:
            changes["review"] = review
        while True:
            found = await self._records.get(SubscriptionRecord, subscription)
            if found is None:
                raise NotFound("There is no such subscription.")
            changed = found.value.model_copy(update=changes)
            if onboarding == "erased":
                changed = changed.bare()
            if changed == found.value:
                return changed
            with suppress(PreconditionFailed):
                await self._records.put(subscription, changed, etag=found.etag)
                return changed

"""Subscriptions as records that follow the marketplace, and the tenants that follow them."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from control import contexts
from control.access import AccessLog
from control.directory import Directory
from control.erasures import Erasures
from control.marketplace.offer import ChangeRules
from control.marketplace.port import Marketplace
from control.marketplace.records import Change, Deal, SubscriptionRecord
from control.marketplace.states import MOST_CHANGES, TENANT_STATUS, adopt, base_plan, is_over
from control.records import PERSONAL_ACCOUNTS, TenantRecord, owner_mark
from core import Clock, Confidentiality, Content, ContentClass, ContentRef, TenantContext, TenantId, timestamp
from core.admin_bodies import ChangeCause
from core.errors import Conflict, MandateError, NotFound, PreconditionFailed
from data import Page, Records, Store, TenantData, Versioned

_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Terms:
    """What the publisher has laid down: `marketplace` of `environments/plans.yaml`.

    Attributes:
        plans: ours.
        base: the plan that one we do not know stands for, unless it begins with one of ours.
        region: where new tenants are; `stamp` the deployment that holds them.
        grace: how long a cancelled tenant's data can still be taken away.
        changes: which changes of plan and seats are accepted.
        warns: so long before its end a term is warned of.
    """

    plans: Collection[str]
    base: str
    region: str
    stamp: str
    grace: timedelta
    changes: ChangeRules = field(default_factory=ChangeRules)
    warns: timedelta = timedelta(days=30)


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
        self.directory = directory
        self._erasures = erasures
        self._access = access
        self.terms = terms

    @property
    def _data(self) -> TenantData:
        return self._store.tenant(contexts.publisher("marketplace"))

    @property
    def _records(self) -> Records:
        return self._data.records

    async def find(self, subscription: str) -> SubscriptionRecord | None:
        found = await self._records.get(SubscriptionRecord, subscription)
        return found.value if found else None

    async def all(self, cursor: str | None = None, limit: int = 100) -> Page[Versioned[SubscriptionRecord]]:
        return await self._records.list(SubscriptionRecord, cursor=cursor, limit=limit)

    async def every(self) -> AsyncIterator[SubscriptionRecord]:
        """Yield all subscriptions."""
        cursor = None
        while True:
            page = await self.all(cursor)
            for found in page.items:
                yield found.value
            if (cursor := page.cursor) is None:
                return

    async def refresh(self, subscription: str, cause: str, why: ChangeCause = "told") -> SubscriptionRecord:
        """Ask the marketplace how the subscription is, and make our record and the tenant so; durable on return.

        Whoever writes in between makes us ask once more: an answer that is older than the record never counts.

        Args:
            subscription: its id.
            cause: for its history: the operation's id, or what else makes us look.
            why: for the event, which has words of ours only.

        Raises:
            NotFound: the marketplace does not know it.
            Unavailable: it does not answer.
        """
        for _ in range(_ATTEMPTS):
            found = await self._records.get(SubscriptionRecord, subscription)
            truth = await self._marketplace.subscription(subscription)
            plan = base_plan(truth.plan_id, self.terms.plans, self.terms.base)
            known = found.value if found else None
            record = adopt(known, truth, plan=plan, now=self._clock.now(), cause=cause)
            if record != known:
                try:
                    await self._records.put(subscription, record, etag=found.etag if found else None)
                except PreconditionFailed:
                    continue
                if known is None or record.history != known.history:
                    await self.record(record, why)
            return await self._with_deal(await self.carry_on(record))
        raise Conflict("Too many change this subscription at once; try again in a moment.", retry_after=1)

    async def expire(self, record: SubscriptionRecord) -> None:
        """Have a cancelled tenant erased when its grace is over; the journal of erasures carries it from there."""
        if record.onboarding != "done" or not is_over(record, self.terms.grace, self._clock.now()):
            return
        if not await self._erasures.took(record.tenant):
            actor = contexts.publisher("marketplace").principal.actor
            await self._erasures.request(record.tenant, "tenant", record.tenant, actor, reason="contract_over")
        await self._data.content.erase([piece.id for piece in record.said])
        await self.mark(record.id, onboarding="erased")

    async def carry_on(self, record: SubscriptionRecord) -> SubscriptionRecord:
        """Take the tenant on, or go on where that was cut short, or tell it what its subscription is now."""
        match record.onboarding:
            case "none" if record.status == "Subscribed":
                if not record.beneficiary_oid:  # they are known when they land
                    return await self.mark(record.id, review="beneficiary_unknown")
                if await self._is_taken(record):
                    return await self.mark(record.id, review="second_subscription")
                review = "" if record.review in ("second_subscription", "beneficiary_unknown") else record.review
                return await self._take_on(await self.mark(record.id, onboarding="begun", review=review))
            case "begun":
                return await self._take_on(record)
            case "done":
                await self._sync(record)
                return record
            case "none" | "erased":
                return record

    async def _is_taken(self, record: SubscriptionRecord) -> bool:
        bound = await self.directory.bound_to(record.beneficiary_tid, record.beneficiary_oid)
        return bound not in (None, record.tenant)

    async def _take_on(self, record: SubscriptionRecord) -> SubscriptionRecord:
        """Each step finds what it did before: the tenant's id belongs to the subscription's."""
        tid, oid = record.beneficiary_tid, record.beneficiary_oid
        tenant = TenantRecord(
            id=record.tenant,
            name=record.name or "Subscription",
            plan=record.base_plan,
            region=self.terms.region,
            stamp=self.terms.stamp,
            owner=owner_mark(tid, oid),
        )
        with suppress(Conflict):  # it is there, and was changed since: the id is derived, so it is this one
            if await self.directory.create_tenant(tenant):
                await self._access.admin(contexts.publisher("marketplace"), tenant.kind, tenant.id, "1")
        await self.directory.bind(tid, tenant.id, oid=oid if tid == PERSONAL_ACCOUNTS else "")
        await self._sync(record)
        return await self.mark(record.id, onboarding="done")

    async def _sync(self, record: SubscriptionRecord) -> None:
        with suppress(NotFound):  # it was erased at its owner's wish
            await self.directory.update(record.tenant, plan=record.base_plan, status=TENANT_STATUS[record.status])

    async def _with_deal(self, record: SubscriptionRecord) -> SubscriptionRecord:
        """Ask once for each plan and term what was agreed, as far as that is told; nothing waits for it."""
        asked = record.deal and (record.deal.plan, record.deal.term_start) == (record.plan, record.term_start)
        if record.status != "Subscribed" or asked:
            return record
        try:
            plans = await self._marketplace.available(record.id, record.plan)
        except MandateError:
            return record
        plan = next((plan for plan in plans if plan.plan_id == record.plan), None)
        deal = Deal(
            plan=record.plan,
            term_start=record.term_start,
            private=bool(plan and plan.is_private),
            offers=tuple(one.external_id for one in plan.source_offers if one.external_id) if plan else (),
            included=plan.included(record.term_unit) if plan else {},
        )
        return await self.mark(record.id, deal=deal)

    async def record(
        self,
        record: SubscriptionRecord,
        why: ChangeCause,
        *,
        by: TenantContext | None = None,
        reason: ContentRef | None = None,
    ) -> None:
        """Write into the log that a subscription's record is now as it is."""
        context = by or contexts.publisher("marketplace")
        version = str(len(record.history))
        await self._access.admin(context, record.kind, record.id, version, cause=why, reason=reason)

    async def note(
        self, by: TenantContext, subscription: str, why: ChangeCause, reason: str, **changes: object
    ) -> None:
        """Write down what one of the publisher's people does to a subscription, and why, before it is done.

        Raises:
            NotFound: there is no such subscription.
        """
        said = Content.new(reason.encode(), kind=ContentClass.REASON, owner=by.principal.id)
        await self._data.content.put([said])
        at, who = timestamp(self._clock.now()), by.principal.id

        def noted(record: SubscriptionRecord) -> SubscriptionRecord:
            now = {"status": record.status, "plan": record.plan, "quantity": record.quantity}
            change = Change.model_validate({**now, "at": at, "cause": why, "by": who, "reason": said.ref})
            return record.model_copy(update={**changes, "history": (*record.history, change)[-MOST_CHANGES:]})

        await self.record(await self._changed(subscription, noted), why, by=by, reason=said.ref)

    async def note_of_tenant(self, by: TenantContext, tenant: TenantId, why: ChangeCause, reason: str) -> None:
        """Write down what one of the publisher's people does to a tenant, and why; at its subscription, if any."""
        async for record in self.every():
            if record.tenant == tenant:
                await self.note(by, record.id, why, reason)
                return
        said = Content.new(reason.encode(), kind=ContentClass.REASON, owner=by.principal.id)
        await self._data.content.put([said])
        await self._access.admin(by, TenantRecord.kind, tenant, why, cause=why, reason=said.ref)

    async def keep_contact(self, subscription: str, address: str) -> None:
        """Keep whom to write to about a subscription, in place of whoever it was."""
        found = await self.find(subscription)
        said = Content.new(
            address.encode(),
            kind=ContentClass.PROFILE,
            owner=contexts.publisher("marketplace").principal.id,
            confidentiality=Confidentiality.CONFIDENTIAL,
        )
        await self._data.content.put([said])
        await self.mark(subscription, contact=said.ref)
        if found and found.contact:
            await self._data.content.erase([found.contact.id])

    async def said(self, piece: ContentRef | None) -> str:
        """Return what somebody wrote about a subscription; nothing where it is gone."""
        try:
            return (await self._data.content.get(piece)).decode() if piece else ""
        except NotFound:
            return ""

    async def mark(self, subscription: str, **changes: object) -> SubscriptionRecord:
        """Change what is ours of a record.

        Raises:
            NotFound: there is no such subscription.
        """

        def marked(record: SubscriptionRecord) -> SubscriptionRecord:
            changed = record.model_copy(update=changes)
            return changed.bare() if changed.onboarding == "erased" else changed

        return await self._changed(subscription, marked)

    async def _changed(
        self, subscription: str, change: Callable[[SubscriptionRecord], SubscriptionRecord]
    ) -> SubscriptionRecord:
        while True:
            found = await self._records.get(SubscriptionRecord, subscription)
            if found is None:
                raise NotFound("There is no such subscription.")
            changed = change(found.value)
            if changed == found.value:
                return changed
            with suppress(PreconditionFailed):
                await self._records.put(subscription, changed, etag=found.etag)
                return changed

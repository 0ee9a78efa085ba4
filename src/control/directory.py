"""Who belongs to which tenant: identities and bindings."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from control import contexts
from control.cache import Cache
from control.members import Seen, enrol, point_to
from control.records import (
    LAST_RING,
    PERSONAL_ACCOUNTS,
    BindingRecord,
    MemberRecord,
    TenantRecord,
    binding_key,
    owner_mark,
)
from control.staff import staff_roles
from core import (
    Clock,
    PrincipalId,
    Role,
    TenantContext,
    TenantId,
    canonical,
)
from core.errors import Conflict, Defect, Forbidden, NotFound, PreconditionFailed
from data import Page, Records, Store, TenantData, Versioned
from web import VerifiedToken


@dataclass(frozen=True, slots=True)
class Binding:
    key: str
    is_new: bool


class Directory:
    """Finds the tenant and the member behind a verified token; onboards tenants.

    What another process changes is seen within five seconds.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._tenants: Cache[str, TenantRecord] = Cache(clock)
        self._known: Cache[TenantId, tuple[bool, str]] = Cache(clock)
        self._members: Cache[tuple[TenantId, str], tuple[Seen, PrincipalId]] = Cache(clock)

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("directory")).records

    async def resolve(self, token: VerifiedToken, *, correlation: str) -> TenantContext:
        """Return the authority of the person whose token this is; a first visit makes them a member.

        Raises:
            Forbidden: no tenant is bound to the identity (`access.unbound`), the person has no role
                (`access.no_role`), or it is no person (`access.not_a_user`).
        """
        if token.is_app:
            raise Forbidden("Sign in as a person; an application cannot use this.", code="access.not_a_user")
        tenant = await self._tenant_of(token)
        bought = tenant.owner == owner_mark(token.tenant_id, token.object_id)
        roles = tuple(role for role in Role if role in token.roles or (bought and role is Role.OWNER))
        groups = sorted(tenant.groups[group] for group in token.groups if group in tenant.groups)
        profile = canonical({"name": token.name, "username": token.username})
        seen = Seen(profile, tuple(groups), roles, token.issued_at)
        if not roles:
            await self._without_role(tenant, token.object_id, seen, correlation)
            raise Forbidden(
                "You have no role in this app yet; ask an admin of your organisation for one.", code="access.no_role"
            )
        data = self._store.tenant(contexts.platform(tenant, correlation))
        member = await self._member(data, token.object_id, seen)
        return contexts.from_directory(tenant, member, roles=roles, groups=groups, correlation=correlation)

    async def staff(self, token: VerifiedToken, publisher: str, *, correlation: str) -> TenantContext:
        """Return the authority of one of the publisher's own people; a first visit makes them known.

        Raises:
            Forbidden: see `staff_roles`.
        """
        roles = staff_roles(token, publisher)
        seen = Seen(canonical({"name": token.name, "username": token.username}), (), roles, token.issued_at)
        data = self._store.tenant(contexts.publisher(correlation))
        member = await self._member(data, token.object_id, seen)
        return contexts.staff(member, roles=roles, correlation=correlation)

    async def tenant(self, tenant: TenantId) -> TenantRecord:
        """Return what the directory knows of a tenant.

        Raises:
            NotFound: there is no such tenant.
        """
        found = await self._records.get(TenantRecord, tenant)
        if found is None:
            raise NotFound("There is no such tenant.")
        return found.value

    async def is_active(self, tenant: TenantId) -> bool:
        """Return whether a tenant's subscription is active, as it was within five seconds; False if there is none."""
        return (await self._seen(tenant))[0]

    async def ring(self, tenant: TenantId) -> str:
        """Return the ring in which a tenant gets changes, as it was within five seconds."""
        return (await self._seen(tenant))[1]

    async def _seen(self, tenant: TenantId) -> tuple[bool, str]:
        async def load(_: tuple[bool, str] | None) -> tuple[bool, str]:
            found = await self._records.get(TenantRecord, tenant)
            return (found.value.status == "active", found.value.ring) if found else (False, LAST_RING)

        return await self._known.get(tenant, load)

    async def check_active(self, tenant: TenantId) -> None:
        """Return if a tenant may change things.

        Raises:
            Forbidden: its subscription is not active: it may read and export (`access.suspended`).
        """
        if not await self.is_active(tenant):
            raise Forbidden(
                "Your organisation's subscription is not active: you can read and export. Its owner can renew it.",
                code="access.suspended",
            )

    async def update(self, tenant: TenantId, *, plan: str, status: Literal["active", "suspended", "closed"]) -> None:
        """Write down what a tenant's subscription is now. Repeating it changes nothing.

        Raises:
            NotFound: there is no such tenant.
        """
        await self._update(tenant, {"plan": plan, "status": status})

    async def assign_ring(self, tenant: TenantId, ring: str) -> bool:
        """Write down in which ring a tenant gets changes; return whether that is new.

        Raises:
            NotFound: there is no such tenant.
        """
        return await self._update(tenant, {"ring": ring})

    async def leads(self, tenant: TenantId) -> None:
        """Write down that a tenant that is hosted elsewhere does as we say.

        Raises:
            NotFound: there is no such tenant.
        """
        await self._update(tenant, {"mode": "hybrid"})

    async def _update(self, tenant: TenantId, update: Mapping[str, str]) -> bool:
        while True:
            found = await self._records.get(TenantRecord, tenant)
            if found is None:
                raise NotFound("There is no such tenant.")
            changed = found.value.model_copy(update=update)
            if changed == found.value:
                return False
            with suppress(PreconditionFailed):
                await self._records.put(tenant, changed, etag=found.etag)
                self._known.forget(tenant)
                return True

    async def bound_to(self, tid: str, oid: str) -> TenantId | None:
        """Return the tenant that an identity is bound to."""
        found = await self._records.get(BindingRecord, binding_key(tid, oid))
        return found.value.tenant if found else None

    async def tenants(self, cursor: str | None = None, limit: int = 100) -> Page[Versioned[TenantRecord]]:
        return await self._records.list(TenantRecord, cursor=cursor, limit=limit)

    async def bindings(self, cursor: str | None = None, limit: int = 100) -> Page[Versioned[BindingRecord]]:
        return await self._records.list(BindingRecord, cursor=cursor, limit=limit)

    async def create_tenant(self, record: TenantRecord) -> bool:
        """Write a tenant, and return whether it is new. Repeating it changes nothing.

        Raises:
            Conflict: the tenant is there with other settings.
        """
        try:
            await self._records.put(record.id, record, etag=None)
        except PreconditionFailed:
            known = await self.tenant(record.id)
            if known.model_copy(update={"ring": record.ring}) == record:  # which the publisher assigns apart
                return False
            raise Conflict("This tenant exists with other settings.", code="conflict.tenant") from None
        return True

    async def bind(self, tid: str, tenant: TenantId, *, oid: str = "") -> Binding:
        """Bind an organisation, or the person `oid` where `tid` is that of personal accounts, to a tenant.

        Repeating it changes nothing.

        Raises:
            Conflict: the identity is bound to another tenant.
            NotFound: there is no such tenant.
        """
        if (tid == PERSONAL_ACCOUNTS) != bool(oid):
            raise Defect("A personal account is bound by its object id, an organisation without one.")
        await self.tenant(tenant)
        key = binding_key(tid, oid)
        try:
            await self._records.put(key, BindingRecord(tenant=tenant), etag=None)
        except PreconditionFailed:
            found = await self._records.get(BindingRecord, key)
            if found and found.value.tenant == tenant:
                return Binding(key, is_new=False)
            raise Conflict("This identity is bound to another tenant.", code="conflict.binding") from None
        return Binding(key, is_new=True)

    async def _tenant_of(self, token: VerifiedToken) -> TenantRecord:
        key = binding_key(token.tenant_id, token.object_id)

        async def load(_: TenantRecord | None) -> TenantRecord:
            binding = await self._records.get(BindingRecord, key)
            if binding is None:
                raise Forbidden(
                    "Your organisation does not use this app yet; its owner can subscribe on the Marketplace.",
                    code="access.unbound",
                )
            return await self.tenant(binding.value.tenant)

        return await self._tenants.get(key, load)

    async def _member(self, data: TenantData, oid: str, seen: Seen) -> PrincipalId:
        async def load(_: tuple[Seen, PrincipalId] | None) -> tuple[Seen, PrincipalId]:
            return seen, await enrol(data, oid, seen)

        key = (data.context.tenant, oid)
        known, member = await self._members.get(key, load)
        if known != seen and seen.at >= known.at:
            self._members.forget(key)
            _, member = await self._members.get(key, load)
        return member

    async def _without_role(self, tenant: TenantRecord, oid: str, seen: Seen, correlation: str) -> None:
        """Take note that a member has no role any more; who never was one leaves no trace."""
        data = self._store.tenant(contexts.platform(tenant, correlation))
        if found := await data.records.get(MemberRecord, oid):
            await point_to(data, found.value, seen)

"""The only place where a `TenantContext` is made, and from what: every function names the proof that it relies on."""

from collections.abc import Iterable

from control.records import ErasureRecord, TenantRecord
from core import PUBLISHER, Principal, PrincipalId, PrincipalKind, Role, TenantContext, TenantId
from core.bodies import RunOpened
from core.errors import Defect
from core.events import Stored
from web import VerifiedAssertion

_PLATFORM = Principal(id=PrincipalId("svc_platform"), kind=PrincipalKind.SERVICE)


def from_assertion(assertion: VerifiedAssertion) -> TenantContext:
    """Return the authority that another of our services vouches for; its signature was verified."""
    return TenantContext(
        tenant=assertion.tenant,
        principal=Principal(
            id=assertion.principal,
            kind=assertion.kind,
            roles=frozenset(assertion.roles),
            groups=frozenset(assertion.groups),
        ),
        plan=assertion.plan,
        region=assertion.region,
        correlation=assertion.correlation,
        chain=tuple(assertion.chain),
    )


def from_run(tenant: TenantId, first: Stored, *, groups: Iterable[str] | None = None) -> TenantContext:
    """Return the authority under which a run was opened, to carry it on: its first event is the stored proof.

    `groups` are those that the directory saw the person in since (`groups_now`): they count, not those of the opening.

    Raises:
        Defect: `first` is not the first event of a run of `tenant`.
    """
    event, opened = first.event, first.event.body
    if event.tenant != tenant or event.seq != 1 or not isinstance(opened, RunOpened):
        raise Defect("A run was to be carried on without its first event.")
    return TenantContext(
        tenant=tenant,
        principal=Principal(
            id=PrincipalId(event.actor.id),
            kind=event.actor.kind,
            roles=frozenset(opened.roles),
            groups=frozenset(opened.groups if groups is None else groups),
        ),
        plan=opened.plan,
        region=opened.region,
        correlation=opened.correlation,
        chain=opened.chain,
    )


def from_directory(
    tenant: TenantRecord, member: PrincipalId, *, roles: Iterable[Role], groups: Iterable[str], correlation: str
) -> TenantContext:
    """Return the authority of a person whose token was verified and whose binding was found."""
    return TenantContext(
        tenant=tenant.id,
        principal=Principal(id=member, kind=PrincipalKind.USER, roles=frozenset(roles), groups=frozenset(groups)),
        plan=tenant.plan,
        region=tenant.region,
        correlation=correlation,
    )


def publisher(correlation: str, service: str = "") -> TenantContext:
    """Return the platform's own authority over its own records: the directory, and what has no tenant.

    `service` is the one of our services whose token was verified; without it the platform acts by itself.
    """
    principal = Principal(id=PrincipalId(f"svc_{service}"), kind=PrincipalKind.SERVICE) if service else _PLATFORM
    return TenantContext(tenant=PUBLISHER, principal=principal, plan="", region="", correlation=correlation)


def visitor(correlation: str) -> TenantContext:
    """Return the edge's own authority, to ask for somebody who has proved who they are and has no tenant."""
    principal = Principal(id=PrincipalId("svc_interaction"), kind=PrincipalKind.SERVICE)
    return TenantContext(tenant=PUBLISHER, principal=principal, plan="none", region="none", correlation=correlation)


def staff(member: PrincipalId, *, roles: Iterable[Role], correlation: str) -> TenantContext:
    """Return the authority of one of the publisher's own people, whose token of the publisher's tenant was verified."""
    principal = Principal(id=member, kind=PrincipalKind.USER, roles=frozenset(roles))
    return TenantContext(tenant=PUBLISHER, principal=principal, plan="none", region="none", correlation=correlation)


def platform(tenant: TenantRecord, correlation: str) -> TenantContext:
    """Return the platform's own authority in a tenant that the directory holds, for its members' records."""
    return TenantContext(
        tenant=tenant.id, principal=_PLATFORM, plan=tenant.plan, region=tenant.region, correlation=correlation
    )


def from_erasure(erasure: ErasureRecord) -> TenantContext:
    """Return the platform's own authority in a tenant of which something is erased: the journal says that it shall.

    The directory may not know the tenant any more.
    """
    return TenantContext(
        tenant=erasure.tenant, principal=_PLATFORM, plan="", region="", correlation=f"erasure-{erasure.id}"
    )


def from_log(tenant: TenantId) -> TenantContext:
    """Return the platform's own authority over the evidence of a tenant that the log names, for it to be vouched for.

    The directory may not know the tenant any more: its evidence outlives it.
    """
    return TenantContext(tenant=tenant, principal=_PLATFORM, plan="", region="", correlation="checkpoints")


def from_meter(tenant: TenantId) -> TenantContext:
    """Return the platform's own authority to count what a tenant used: a subscription of the publisher's names it.

    The directory may not know the tenant any more: what it used before its end is billed all the same.
    """
    return TenantContext(tenant=tenant, principal=_PLATFORM, plan="", region="", correlation="metering")

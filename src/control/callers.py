"""Who calls the control plane, what that lets them do, and the record that is kept when they are refused."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request

from control import contexts
from control.access import AccessLog
from control.directory import Directory
from control.entitlements import Entitlements
from control.erasures import Erasures
from control.marketplace import (
    Acts,
    Desk,
    Landings,
    ManagedApplications,
    Marketplace,
    Metering,
    Offer,
    Subscriptions,
    Unit,
    WebhookCallers,
)
from control.policy_store import Policies
from control.switches import Switches
from core import PUBLISHER, Actor, PrincipalKind, Role, TenantContext
from core.errors import Forbidden, MandateError, Unauthenticated
from data import Store
from web import TokenValidator, correlation_of

ADMIN_ROLE = "control.admin"
"""App role of the publisher's own services that may onboard tenants."""

EDGE = "svc_interaction"
"""The service that people reach, when it asks for somebody who has no tenant."""

NOBODY = Actor(kind=PrincipalKind.USER, id="prn_nobody")
"""Stands for a caller who could not prove who they are."""


@dataclass(frozen=True, slots=True)
class UserCaller:
    """A person, vouched for by a service token and a signed assertion."""

    context: TenantContext


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """One of the publisher's services in its own name; `roles` are the app roles of its token."""

    service: str
    roles: frozenset[str]


Caller: TypeAlias = UserCaller | ServiceCaller


@dataclass(frozen=True, slots=True)
class MarketplaceServices:
    """What belongs to the marketplace, where the product is sold there.

    Attributes:
        applications: None where no managed application is sold; `stamps` verifies what those tell of themselves with.
    """

    callers: WebhookCallers
    desk: Desk
    landings: Landings
    metering: Metering
    subscriptions: Subscriptions
    acts: Acts
    offer: Offer
    marketplace: Marketplace
    applications: ManagedApplications | None = None
    stamps: TokenValidator | None = None


@dataclass(frozen=True, slots=True)
class ControlServices:
    """What the routes work with.

    Attributes:
        authenticate: returns who calls, or raises `Unauthenticated` or `Forbidden`; what it raises is recorded here.
        units: what can be billed by use, by name.
        version: of the code.
        rings: in which tenants get changes, as they are now.
        marketplace: None where the product is not sold there.
    """

    store: Store
    directory: Directory
    policies: Policies
    switches: Switches
    access: AccessLog
    erasures: Erasures
    entitlements: Entitlements
    units: Mapping[str, Unit]
    authenticate: Callable[[Request], Awaitable[Caller]]
    version: str
    rings: Callable[[], Sequence[str]]
    marketplace: MarketplaceServices | None = None


async def services(request: Request) -> ControlServices:
    """Return what `create_app` was given."""
    found = request.app.state.services
    assert isinstance(found, ControlServices)
    return found


async def member(request: Request) -> TenantContext:
    """Dependency: any member of a tenant.

    Raises:
        Forbidden: a service calls in its own name.
    """
    caller = await _caller(request)
    if isinstance(caller, UserCaller) and not _is_staff(caller.context):
        return caller.context
    context = caller.context if isinstance(caller, UserCaller) else contexts.publisher("", caller.service)
    raise await _refusal(request, context, "This belongs to a tenant; call it for a member.")


async def reader(request: Request) -> TenantContext:
    """Dependency: who may read the tenant's settings."""
    return await _holding(request, Role.OWNER, Role.ADMIN, Role.AUDITOR)


async def admin(request: Request) -> TenantContext:
    """Dependency: who may change the tenant's settings."""
    return await _holding(request, Role.OWNER, Role.ADMIN)


async def publisher(request: Request) -> TenantContext:
    """Dependency: a service of the publisher that may onboard tenants, or one of its people who may act.

    Raises:
        Forbidden: anybody else, whatever their role in a tenant.
    """
    return await _of_publisher(request, Role.ADMIN)


async def publisher_reader(request: Request) -> TenantContext:
    """Dependency: the same, and those of its people who may look."""
    return await _of_publisher(request, Role.ADMIN, Role.AUDITOR)


async def _of_publisher(request: Request, *roles: Role) -> TenantContext:
    caller = await _caller(request)
    match caller:
        case ServiceCaller(service=service, roles=held):
            context = contexts.publisher(correlation_of(request.scope), service)
            if ADMIN_ROLE in held:
                return context
        case UserCaller(context=context):
            if _is_staff(context) and context.has(*roles):
                return context
    raise await _refusal(request, context, "Only the publisher's own services and people may do this.")


def _is_staff(context: TenantContext) -> bool:
    """Return whether somebody is one of the publisher's people: `contexts.staff` alone makes such a context."""
    return context.tenant == PUBLISHER and context.principal.kind is PrincipalKind.USER


async def edge(request: Request) -> TenantContext:
    """Dependency: the edge in its own name, for people who have no tenant yet.

    Raises:
        Forbidden: anybody else, whatever their role in a tenant.
    """
    caller = await _caller(request)
    if isinstance(caller, UserCaller):
        if caller.context.tenant == PUBLISHER and caller.context.principal.id == EDGE:
            return caller.context
        context = caller.context
    else:
        context = contexts.publisher(correlation_of(request.scope), caller.service)
    raise await _refusal(request, context, "Only the edge may ask this.")


async def _holding(request: Request, *roles: Role) -> TenantContext:
    context = await member(request)
    if context.has(*roles):
        return context
    raise await _refusal(
        request, context, f"This needs one of the roles {', '.join(roles)}; ask an owner of your tenant."
    )


async def _caller(request: Request) -> Caller:
    try:
        return await (await services(request)).authenticate(request)
    except (Unauthenticated, Forbidden) as error:
        await record_refusal(request, None, error, NOBODY)
        raise


async def _refusal(request: Request, context: TenantContext, message: str) -> Forbidden:
    error = Forbidden(message)
    await record_refusal(request, context, error, context.principal.actor)
    return error


async def record_refusal(request: Request, context: TenantContext | None, error: MandateError, actor: Actor) -> None:
    """Write down that the route was not open to whoever asked."""
    operation = f"{request.method} {request.scope['route'].path}"
    await (await services(request)).access.refused(context, error.code, operation, actor)

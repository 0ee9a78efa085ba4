"""Who is asking, and what that lets them do: an endpoint's parameter `me: Admin` is its policy."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException

from core import Role, TenantContext
from core.errors import BadRequest, Forbidden, NotFound
from interaction.cookies import SESSION_COOKIE, STAFF_COOKIE
from interaction.dependencies import InteractionDependencies, dependencies_of
from telemetry import span
from web import CSRF_HEADER, SAFE_METHODS, bearer_token, check_csrf, correlation_of


class SessionCookie(SecurityBase):
    """The other proof, beside a token: told to the API's readers; `SignedIn` looks at it."""

    def __init__(self) -> None:
        self.scheme_name = "session"
        self.model = APIKey.model_validate(
            {
                "in": APIKeyIn.cookie,
                "name": SESSION_COOKIE,
                "description": f"The console's session. Unsafe methods also need its token in `{CSRF_HEADER}`.",
            }
        )

    async def __call__(self) -> None:
        """Nothing to do here."""


class SignedIn(SecurityBase):
    """Dependency: a person with one of `roles`, proved by token or session. It is all that a request passes first.

    A request with a token is judged by it alone; one with a session's cookie must also have come from a page of ours.

    Raises:
        Unauthenticated: there is neither, or it proves nothing.
        Forbidden: no tenant is theirs, they hold none of the roles, or another site made their browser ask.
        RateLimited: too fast.
        BadRequest: the query has a parameter that the endpoint does not know, or one of them twice.
    """

    def __init__(self, *roles: Role) -> None:
        self.scheme_name = "bearer"
        self.model = HTTPBearer(
            bearerFormat="JWT", description="An access token of your organisation's Microsoft Entra ID for this app."
        )
        self._roles = roles

    async def __call__(
        self, request: Request, _: Annotated[None, Depends(SessionCookie())]
    ) -> AsyncGenerator[TenantContext]:
        context = await self._admit(request, await dependencies_of(request))
        route: APIRoute = request.scope["route"]
        _check_query(request, route)
        if route.body_field:
            _check_media_type(request)
        with span(operation(request), context, span_kind="server"):
            yield context

    async def _admit(self, request: Request, deps: InteractionDependencies) -> TenantContext:
        token = await deps.validator.verify(await access_token(request, deps, SESSION_COOKIE))
        request.state.token = token
        context = await deps.directory.resolve(token, correlation=correlation_of(request.scope))
        request.state.context = context
        if session := getattr(request.state, "session", None):
            await check_csrf(request, session.csrf, deps.public_url)
        if request.method not in SAFE_METHODS:
            await deps.directory.check_active(context.tenant)
        deps.limits.take(context)
        if not context.has(*self._roles):
            wanted = " or ".join(self._roles)
            raise Forbidden(f"This needs the role {wanted}. Ask an admin of your organisation.", code="access.role")
        return context


async def access_token(request: Request, deps: InteractionDependencies, name: str) -> str:
    """Return the token of a request: its own, or that of the session whose cookie has this name.

    Raises:
        Unauthenticated: there is neither, or the session has ended.
    """
    authorization = request.headers.get("authorization")
    cookie = request.cookies.get(name)
    if authorization is not None or cookie is None:
        return bearer_token(authorization)
    session = await deps.sessions.find(cookie)
    request.state.session = session
    return session.access_token


class OfPublisher(SignedIn):
    """Dependency: one of the publisher's own people, with one of `roles`; for anybody else there is no such page.

    Raises:
        Unauthenticated, Forbidden, RateLimited, BadRequest: as `SignedIn` does.
        NotFound: it is somebody else.
    """

    async def _admit(self, request: Request, deps: InteractionDependencies) -> TenantContext:
        token = await deps.validator.verify(await access_token(request, deps, STAFF_COOKIE))
        request.state.token = token
        correlation = correlation_of(request.scope)
        if not deps.publisher or token.tenant_id != deps.publisher:
            request.state.context = await deps.directory.resolve(token, correlation=correlation)  # for their own log
            raise NotFound("There is no such page. Check the address.")
        context = await deps.directory.staff(token, deps.publisher, correlation=correlation)
        request.state.context = context
        if session := getattr(request.state, "session", None):
            await check_csrf(request, session.csrf, deps.public_url)
        deps.limits.take(context)
        if not context.has(*self._roles):
            raise Forbidden("You may look, and not act. Ask whoever gives roles at the publisher.", code="access.role")
        return context


Staff = Annotated[TenantContext, Depends(OfPublisher(Role.ADMIN, Role.AUDITOR))]
"""Any of the publisher's own people."""

StaffActing = Annotated[TenantContext, Depends(OfPublisher(Role.ADMIN))]
"""Those of them who may act."""

Me = Annotated[TenantContext, Depends(SignedIn(*Role))]
"""Any member."""

User = Annotated[TenantContext, Depends(SignedIn(Role.USER, Role.APPROVER, Role.ADMIN, Role.OWNER))]
"""Who may make things happen: everybody but an auditor."""

Approver = Annotated[TenantContext, Depends(SignedIn(Role.APPROVER, Role.OWNER))]

Admin = Annotated[TenantContext, Depends(SignedIn(Role.ADMIN, Role.OWNER))]

Owner = Annotated[TenantContext, Depends(SignedIn(Role.OWNER))]

Overseer = Annotated[TenantContext, Depends(SignedIn(Role.AUDITOR, Role.ADMIN, Role.OWNER))]
"""Who may see what all members do."""


def acts(me: TenantContext) -> bool:
    """Return whether one of the publisher's people may act, and not only look."""
    return me.has(Role.ADMIN)


def oversees(context: TenantContext) -> bool:
    return context.has(Role.AUDITOR, Role.ADMIN, Role.OWNER)


def operation(request: Request) -> str:
    """Return method and template of the route, never the address that was asked for."""
    route: APIRoute = request.scope["route"]
    return f"{request.method} {route.path}"


def _check_query(request: Request, route: APIRoute) -> None:
    if not request.scope["query_string"]:
        return
    known = _query_names(route.dependant)
    given = [name for name, _ in request.query_params.multi_items()]
    if not known.issuperset(given) or len(given) != len(set(given)):
        allowed = ", ".join(sorted(known)) or "none"
        raise BadRequest(
            f"The query has a parameter too many. There may be, once each: {allowed}.", code="request.query"
        )


def _query_names(dependant: Dependant) -> set[str]:
    names = {parameter.alias for parameter in dependant.query_params}
    return names.union(*(_query_names(inner) for inner in dependant.dependencies))


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415)

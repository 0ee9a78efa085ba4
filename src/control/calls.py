"""Calls between our services: who calls, proved by a service token; and for whom, by a signed assertion."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from control import contexts
from control.access import AccessLog
from control.callers import NOBODY, Caller, ServiceCaller, UserCaller
from core import TenantContext
from core.errors import Forbidden, MandateError
from web import (
    ASSERTION_HEADER,
    AssertionVerifier,
    TokenValidator,
    VerifiedToken,
    bearer_token,
    request_target,
)


@dataclass(frozen=True, slots=True)
class AssertedCall:
    """A call that another of our services makes for somebody.

    Attributes:
        nonce: claimed durably by the append that the call causes, so that a replay fails on every replica.
        deadline: when the caller stops waiting.
    """

    context: TenantContext
    nonce: str
    deadline: datetime


class Calls:
    """Authenticates the calls to one internal service.

    Args:
        validator: for tokens with this service's audience.
        verifier: for assertions made for this service.
        services: client id to the name of the service that has it.
        role: the app role that a service needs to call for somebody.
    """

    def __init__(
        self, *, validator: TokenValidator, verifier: AssertionVerifier, services: Mapping[str, str], role: str
    ) -> None:
        self._validator = validator
        self._verifier = verifier
        self._services = services
        self._role = role

    async def caller(self, request: Request) -> Caller:
        """Return who calls: somebody, through one of our services, or a service in its own name.

        Raises:
            Unauthenticated: token or assertion forged, expired, replayed or made for something else.
            Forbidden: a token that does not let its owner call this service.
        """
        if ASSERTION_HEADER in request.headers:
            return UserCaller((await self._asserted(request)).context)
        token = await self._token(request)
        return ServiceCaller(self._services[token.app_id], token.roles)

    async def recorded(self, request: Request, access: AccessLog) -> AssertedCall:
        """Return for whom a call is made; a refusal is recorded first. Raises as `caller` does."""
        try:
            return await self._asserted(request)
        except MandateError as error:
            operation = f"{request.method} {request.scope['route'].path}"
            await access.refused(None, error.code, operation, NOBODY)
            raise

    async def _asserted(self, request: Request) -> AssertedCall:
        token = await self._token(request)
        if self._role not in token.roles:
            raise _not_a_peer()
        asserted = await self._verifier.verify(
            request.headers.get(ASSERTION_HEADER, ""),
            issuer_services=(self._services[token.app_id],),
            method=request.method,
            path=request_target(request.scope),
            body=await request.body(),
        )
        return AssertedCall(contexts.from_assertion(asserted), asserted.nonce, asserted.deadline)

    async def _token(self, request: Request) -> VerifiedToken:
        token = await self._validator.verify(bearer_token(request.headers.get("authorization")))
        if not token.is_app or token.app_id not in self._services:
            raise _not_a_peer()
        return token


def _not_a_peer() -> Forbidden:
    return Forbidden("This token does not let its owner call this service.", code="access.not_a_peer")

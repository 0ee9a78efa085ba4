"""Signing people in as a confidential client of an OpenID Connect provider: authorization code with PKCE.

There is no client secret. The client proves itself with a token of this service's managed identity, which the
provider trusts as a federated credential:
https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity.
"""

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

import aiohttp
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from core.errors import Unauthenticated, Unavailable
from web.bounded import read_bounded
from web.service_tokens import ServiceTokens

EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
"""Audience of the token with which a client proves itself."""

SIGNED_IN, SIGNED_OUT = "/signed-in", "/signed-out"
"""Paths of ours that the provider sends people back to; it must know them."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SECONDS = 10.0
_MAX_ANSWER = 200_000


class Tokens(BaseModel):
    """What the provider gives: proof of who somebody is, good for `expires_in` seconds, and how to renew it."""

    access_token: Annotated[str, StringConstraints(min_length=1)]
    expires_in: Annotated[int, Field(ge=0)]
    refresh_token: str = ""
    id_token: str = ""


class _Endpoints(BaseModel):
    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one sign-in has to bring back: each is random, and known to the browser that began it alone."""

    state: str
    nonce: str
    verifier: str


class OpenIdClient:
    """One app registration at one provider.

    Args:
        authority: what precedes `/.well-known/openid-configuration`.
        client_id: of the app registration.
        scope: what to ask for, besides who it is and the means to renew.
        redirect_uri: where the provider sends the browser back.
        identity: gives the service's own tokens.
        session: stays the caller's to close.
    """

    def __init__(
        self,
        *,
        authority: str,
        client_id: str,
        scope: str,
        redirect_uri: str,
        identity: ServiceTokens,
        session: aiohttp.ClientSession,
    ) -> None:
        self.client_id = client_id
        self._discovery = f"{authority}/.well-known/openid-configuration"
        self._scope = f"openid profile offline_access {scope}"
        self._redirect_uri = redirect_uri
        self._identity = identity
        self._session = session
        self._known: _Endpoints | None = None

    async def address(self, attempt: Attempt) -> str:
        """Return where the browser goes to sign in.

        Raises:
            Unavailable: the provider does not answer (`dependency.sign_in`).
        """
        endpoints = await self._endpoints()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=")
        asked = {
            "client_id": self.client_id,
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "response_mode": "query",
            "scope": self._scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        return f"{endpoints.authorization_endpoint}?{urlencode(asked)}"

    async def leaving(self, back_to: str) -> str:
        """Return where the browser goes to end the session that the provider itself may keep."""
        endpoints = await self._endpoints()
        return f"{endpoints.end_session_endpoint}?{urlencode({'post_logout_redirect_uri': back_to})}"

    async def redeem(self, code: str, attempt: Attempt) -> Tokens:
        """Exchange the code that the browser brought back.

        Raises:
            Unauthenticated: the provider refuses it (`identity.refused`).
            Unavailable: the provider does not answer (`dependency.sign_in`).
        """
        return await self._grant(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "code_verifier": attempt.verifier,
            }
        )

    async def renew(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token for new tokens; raises as `redeem` does."""
        tokens = await self._grant(
            {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": self._scope}
        )
        return tokens if tokens.refresh_token else tokens.model_copy(update={"refresh_token": refresh_token})

    async def _grant(self, grant: Mapping[str, str]) -> Tokens:
        endpoint = (await self._endpoints()).token_endpoint
        form = {
            **grant,
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": await self._identity.token(f"{EXCHANGE_AUDIENCE}/.default"),
        }
        status, body = await self._fetch("POST", endpoint, form)
        if status == HTTPStatus.BAD_REQUEST:
            raise Unauthenticated(
                "Your organisation's identity provider does not confirm this sign-in. Sign in again.",
                code="identity.refused",
            )
        if status != HTTPStatus.OK:
            raise _unavailable()
        try:
            return Tokens.model_validate_json(body)
        except ValidationError:
            raise _unavailable() from None

    async def _endpoints(self) -> _Endpoints:
        if self._known is None:
            status, body = await self._fetch("GET", self._discovery)
            try:
                self._known = _Endpoints.model_validate_json(body if status == HTTPStatus.OK else b"")
            except ValidationError:
                raise _unavailable() from None
        return self._known

    async def _fetch(self, method: str, url: str, form: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._session.request(method, url, data=form, allow_redirects=False) as response,
            ):
                return response.status, await read_bounded(response.content.iter_any(), _MAX_ANSWER)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable(
        "Signing in does not work now: the identity provider does not answer as it should. Try again shortly.",
        code="dependency.sign_in",
        retry_after=5,
    )

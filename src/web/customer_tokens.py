"""Tokens as our application in a customer's Entra tenant, proved by this service's managed identity: no secret.

https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
"""

import asyncio
import time
from http import HTTPStatus

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import Unavailable
from web.bounded import read_bounded
from web.openid import ASSERTION_TYPE, EXCHANGE_AUDIENCE
from web.service_tokens import ServiceTokens

_SECONDS = 5.0
_MAX_ANSWER = 64 * 1024
_REFRESH_BEFORE_SECONDS = 120


class _Token(BaseModel):
    model_config = ConfigDict(extra="ignore")

    access_token: str
    expires_in: int


class CustomerTokens:
    """Keeps a token for each customer's tenant and scope; one tenant's is never given out for another.

    Args:
        issuer: of tokens, with `{tid}` where the Entra tenant id stands.
        client_id: of our application, which customers consent to in their tenant.
        identity: gives the service's own tokens, which that application trusts.
        session: stays the caller's to close.
    """

    def __init__(self, *, issuer: str, client_id: str, identity: ServiceTokens, session: aiohttp.ClientSession) -> None:
        self._address = f"{issuer.removesuffix('/v2.0')}/oauth2/v2.0/token"
        self._client_id = client_id
        self._identity = identity
        self._session = session
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}

    async def token(self, directory: str, scope: str) -> str:
        """Return a token for `scope` in the Entra tenant `directory`.

        Raises:
            Unavailable: there is none: the customer has not consented, or the provider does not answer
                (`dependency.identity`).
        """
        token, until = self._tokens.get((directory, scope), ("", 0.0))
        if time.monotonic() >= until:
            fresh = await self._granted(directory, scope)
            token, until = fresh.access_token, time.monotonic() + fresh.expires_in - _REFRESH_BEFORE_SECONDS
            self._tokens[directory, scope] = token, until
        return token

    async def _granted(self, directory: str, scope: str) -> _Token:
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_id": self._client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": await self._identity.token(f"{EXCHANGE_AUDIENCE}/.default"),
        }
        url = self._address.replace("{tid}", directory)
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._session.post(url, data=form, allow_redirects=False) as response,
            ):
                body = await read_bounded(response.content.iter_any(), _MAX_ANSWER)
            return _Token.model_validate_json(body if response.status == HTTPStatus.OK else b"")
        except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
            message = "There is no token for your organisation's source: has an admin consented to our application?"
            raise Unavailable(message, code="dependency.identity", retry_after=5) from error

"""Bearer tokens for calling other services, never from a key: `azure-identity` in Azure and on the laptop alike."""

import asyncio
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from core.errors import Unavailable

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.identity.aio import DefaultAzureCredential

_REFRESH_BEFORE_SECONDS = 300
_TIMEOUT_SECONDS = 10.0

_log = logging.getLogger(__name__)


class ServiceTokens(Protocol):
    async def token(self, scope: str) -> str:
        """Return a bearer token for `scope` (`api://mandate-orchestration/.default`).

        Raises:
            Unavailable: it cannot be had (`dependency.identity`).
        """
        ...


class AzureServiceTokens:
    """Tokens of a managed identity, each used until five minutes before it expires, then fetched once for all.

    Args:
        client_id: which user-assigned identity; None for whichever `DefaultAzureCredential` finds.
    """

    def __init__(self, client_id: str | None) -> None:
        self._client_id = client_id
        self._credential: DefaultAzureCredential | None = None
        self._opening = asyncio.Lock()
        self._tokens: dict[str, AccessToken] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def token(self, scope: str) -> str:
        """See `ServiceTokens.token`."""
        known = self._tokens.get(scope)
        if known is not None and known.expires_on - time.time() > _REFRESH_BEFORE_SECONDS:
            return known.token
        async with self._locks[scope]:
            current = self._tokens.get(scope)
            if current is known or current is None:
                current = await self._refreshed(scope, known)
            return current.token

    async def aclose(self) -> None:
        """Close the connections to the identity provider."""
        if self._credential is not None:
            await self._credential.close()

    async def _refreshed(self, scope: str, old: "AccessToken | None") -> "AccessToken":
        from azure.core.exceptions import AzureError

        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                credential = await self._open()
                self._tokens[scope] = await credential.get_token(scope)
        except (AzureError, TimeoutError) as error:
            _log.warning("no service token: %s", type(error).__name__)
            if old is None or old.expires_on <= time.time():
                message = "A service we need cannot be called now: there is no token for it. Try again shortly."
                raise Unavailable(message, code="dependency.identity", retry_after=5) from error
            return old
        return self._tokens[scope]

    async def _open(self) -> "DefaultAzureCredential":
        async with self._opening:
            if self._credential is None:
                self._credential = await asyncio.to_thread(make_credential, self._client_id)
            return self._credential


def make_credential(client_id: str | None) -> "DefaultAzureCredential":
    """Return the credential of a managed identity, for an SDK that fetches its tokens itself. Slow: for a thread."""
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=client_id)

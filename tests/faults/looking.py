"""Looking into the store of a product, and into what it left behind, on whichever database it is."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType

import aiohttp
from azure.core.credentials import AccessToken

from data import Store
from data.cosmos import Account, Containers
from data.cosmos import open_store as open_cosmos
from data.sqlite import open_store
from mandate.local.emulate import COSMOS
from mandate.local.stack import Stack
from mandate.services import local_client_id
from mandate.settings import ROOT


@asynccontextmanager
async def store_of(stack: Stack) -> AsyncGenerator[Store]:
    """Open the store of a product, beside it or in its place."""
    if stack.store == "sqlite":
        async with open_store(stack.folder / "mandate.db") as store:
            yield store
        return
    async with _Managed(stack) as credential:
        account = Account(f"{stack.address('cosmos')}/mandate", credential, Containers.load(ROOT / "environments"))
        async with open_cosmos(account) as store:
            yield store


class _Managed:
    """The orchestration service's identity, by the managed-identity protocol."""

    def __init__(self, stack: Stack) -> None:
        self._url = f"{stack.address('identity')}/msi/token"
        self._headers = {"X-IDENTITY-HEADER": stack.secret}

    async def get_token(self, *_: str, **__: object) -> AccessToken:
        query = {"api-version": "2019-08-01", "resource": COSMOS, "client_id": local_client_id("orchestration")}
        async with (
            aiohttp.ClientSession() as session,
            session.get(self._url, params=query, headers=self._headers) as response,
        ):
            return AccessToken((await response.json())["access_token"], int(time.time()) + 600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> "_Managed":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...

"""The Cosmos DB emulator for tests: the unmodified SDK on one side, plain HTTP on the other."""

import io
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import pytest
from azure.core.credentials import AccessToken
from azure.cosmos import PartitionKey
from azure.cosmos._retry_options import RetryOptions
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.documents import ConnectionPolicy
from azure.cosmos.exceptions import CosmosHttpResponseError

from emulators.cosmos import Authorize, Running, open_emulator

Row = dict[str, Any]
_NUMBERS = itertools.count()


class AnyToken:
    """A credential without an identity provider."""

    def __init__(self, token: str = "a.b.c") -> None:
        self._token = token

    async def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> "AnyToken":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...


@dataclass
class Cosmos:
    """An emulator, the SDK's client of it, and plain HTTP to it."""

    running: Running
    client: CosmosClient
    database: DatabaseProxy
    http: aiohttp.ClientSession

    async def container(self, **settings: Any) -> ContainerProxy:
        """Make a container under a name of its own: the SDK caches ranges by name (rule 8)."""
        key = settings.pop("key", PartitionKey(["/t", "/u"], kind="MultiHash"))
        database: Any = self.database
        return await database.create_container(f"c{next(_NUMBERS)}", key, **settings)

    async def send(
        self, method: str, path: str, headers: Mapping[str, str | None] | None = None, body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], Any]:
        """Send what the SDK never would. A header of `None` is left out."""
        all_headers = {**plain_headers(), **(headers or {})}
        given = {name: value for name, value in all_headers.items() if value is not None}
        url = f"{self.running.url}{path}"
        data = None if body is None else io.BytesIO(body)
        async with self.http.request(method, url, headers=given, data=data, ssl=False) as response:
            return response.status, response.headers, await response.json() if await response.read() else None


def plain_headers() -> dict[str, str]:
    return {
        "authorization": "type=aad&ver=1.0&sig=a.b.c",
        "x-ms-date": formatdate(usegmt=True),
        "x-ms-version": "2020-07-15",
    }


@asynccontextmanager
async def cosmos(folder: Path, *, authorize: Authorize | None = None, **settings: Any) -> AsyncGenerator[Cosmos]:
    """Run an emulator with one database, and a client whose own retries are off."""
    policy = ConnectionPolicy()
    policy.RetryOptions = RetryOptions(max_retry_attempt_count=0)
    async with (
        open_emulator(folder, authorize=authorize, **settings) as running,
        CosmosClient(
            running.url, AnyToken(), connection_policy=policy, retry_total=0, enable_endpoint_discovery=False
        ) as client,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http,
    ):
        database = await client.create_database_if_not_exists("d")
        yield Cosmos(running, client, database, http)


async def rows(container: ContainerProxy, query: str, key: Sequence[str] | None, **values: Any) -> list[Any]:
    """Return all that a query finds; `values` are its parameters."""
    found: Any = container.query_items(query, parameters=_named(values), partition_key=key)
    return [row async for row in found]


def pages_of(
    container: ContainerProxy, query: str, key: Sequence[str], size: int, token: str | None = None, **values: Any
) -> Any:
    """Return the pages of a query, each of `size` rows at most, from where `token` tells."""
    pager: Any = container.query_items(query, parameters=_named(values), partition_key=key, max_item_count=size)
    return pager.by_page(token)


def _named(values: Mapping[str, Any]) -> list[dict[str, object]]:
    return [{"name": f"@{name}", "value": value} for name, value in values.items()]


async def status_of(call: Awaitable[object]) -> tuple[int, int]:
    """Return the status and substatus with which a call was refused."""
    with pytest.raises(CosmosHttpResponseError) as found:
        await call
    refusal: Any = found.value
    return refusal.status_code, refusal.sub_status or 0

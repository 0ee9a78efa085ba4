"""Where the contract tests of the stores run: one place for each adapter."""

import copy
import os
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from azure.cosmos.aio import CosmosClient
from cosmos_emulated import AnyToken

from core import Clock, ContentClass
from data import Store
from data.cosmos import Account, Containers, CosmosStore
from data.cosmos import open_store as open_cosmos
from data.sqlite import open_store
from emulators.cosmos import Running, open_emulator
from mandate.local.kept import FILES
from mandate.local.stack import StoreKind

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
SPLITS = ("15" + "0" * 30, "2A" + "0" * 30)
"""Where new containers of the emulator are cut into three physical ranges."""


class Place(Protocol):
    """Somewhere that data stays when the store is closed; may be open more than once, as by several processes."""

    def open(
        self, *, clock: Clock | None = None, retention: Mapping[ContentClass, int] | None = None
    ) -> AbstractAsyncContextManager[Store]: ...


@dataclass(frozen=True)
class SqlitePlace:
    path: Path

    def open(
        self, *, clock: Clock | None = None, retention: Mapping[ContentClass, int] | None = None
    ) -> AbstractAsyncContextManager[Store]:
        return open_store(self.path, clock=clock, retention=retention)


@dataclass(frozen=True)
class CosmosPlace:
    account: Account

    def open(
        self, *, clock: Clock | None = None, retention: Mapping[ContentClass, int] | None = None
    ) -> AbstractAsyncContextManager[CosmosStore]:
        return open_cosmos(self.account, clock=clock, retention=retention)


@asynccontextmanager
async def emulated(folder: Path) -> AsyncGenerator[tuple[CosmosPlace, Running]]:
    """Run our emulator for as long as the context lasts."""
    async with open_emulator(folder, splits=SPLITS) as running:
        yield CosmosPlace(Account(running.url, AnyToken(), small_containers(), make=True)), running


@asynccontextmanager
async def place_of(kind: StoreKind, folder: Path) -> AsyncGenerator[Place]:
    """Give a file, or our emulator, in `folder`: there the file is called `FILES[kind]`."""
    if kind == "sqlite":
        yield SqlitePlace(folder / FILES[kind])
        return
    async with emulated(folder) as (place, _):
        yield place


@asynccontextmanager
async def cosmos_place(folder: Path) -> AsyncGenerator[CosmosPlace]:
    """Give our emulator, or a database of its own in the account that `MANDATE_COSMOS_ENDPOINT` names.

    That may be Microsoft's emulator or an account in Azure. Databases are made and deleted, so `MANDATE_COSMOS_KEY`
    must be its key.
    """
    endpoint = os.environ.get("MANDATE_COSMOS_ENDPOINT")
    if endpoint is None:
        async with emulated(folder) as (place, _):
            yield place
        return
    key, name = os.environ["MANDATE_COSMOS_KEY"], f"contract-{uuid.uuid4()}"
    account = Account(f"{endpoint.rstrip('/')}/{name}", key, small_containers(), make=True)
    try:
        yield CosmosPlace(account)
    finally:
        async with CosmosClient(endpoint, key) as client:
            await client.delete_database(name)


async def leaks(place: CosmosPlace) -> str:
    """Say how the endpoint gives out rows of a tenant that was not asked for; empty if it does not.

    Microsoft's emulator on Linux did, for some time. A green suite on such a server would say nothing.
    """
    account = replace(place.account, containers=small_containers())
    async with open_cosmos(account):
        pass  # makes the containers
    name = account.url.rpartition("/")[2] if os.environ.get("MANDATE_COSMOS_ENDPOINT") else "mandate"
    base = account.url.removesuffix(f"/{name}")
    async with CosmosClient(base, account.credential) as client:
        container: Any = client.get_database_client(name).get_container_client("records")
        for tenant in ("ten_one", "ten_two"):
            await container.create_item({"id": "x", "tenant": tenant, "kind": "probe"})
        for key in (["ten_one", "probe"], ["ten_one"]):
            rows = [row async for row in container.query_items("SELECT * FROM c", partition_key=key)]
            if [row["tenant"] for row in rows] != ["ten_one"]:
                return f"a query with {len(key)} level(s) of the key gave the rows of other tenants too"
    return ""


def small_containers() -> Containers:
    """Return the containers as declared, but for vectors of three numbers, as the tests' passages have."""
    declared = copy.deepcopy(dict(_declared().declared))
    declared["passages"]["vectorEmbeddingPolicy"]["vectorEmbeddings"][0]["dimensions"] = 3
    return Containers(declared)


@cache
def _declared() -> Containers:
    return Containers.load(ENVIRONMENTS)

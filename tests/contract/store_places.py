"""Where the contract tests of the stores run: one place for each adapter."""

import copy
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from azure.core.credentials import AccessToken

from data import Store
from data.cosmos import Account, Containers
from data.cosmos import open_store as open_cosmos
from data.sqlite import open_store
from emulators.cosmos import Running, open_emulator

ENVIRONMENTS = Path(__file__).parents[2] / "environments"


class Place(Protocol):
    """Somewhere that data stays when the store is closed; may be open more than once, as by several processes."""

    def open(self) -> AbstractAsyncContextManager[Store]: ...


@dataclass(frozen=True)
class SqlitePlace:
    path: Path

    def open(self) -> AbstractAsyncContextManager[Store]:
        return open_store(self.path)


@dataclass(frozen=True)
class CosmosPlace:
    account: Account

    def open(self) -> AbstractAsyncContextManager[Store]:
        return open_cosmos(self.account)


class AnyToken:
    """A credential for an emulator that lets everybody in."""

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        return AccessToken("anybody", int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> "AnyToken":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...


def small_containers() -> Containers:
    """Return the containers as declared, but for vectors of three numbers, as the tests' passages have."""
    declared = copy.deepcopy(dict(Containers.load(ENVIRONMENTS).declared))
    declared["passages"]["vectorEmbeddingPolicy"]["vectorEmbeddings"][0]["dimensions"] = 3
    return Containers(declared)


@asynccontextmanager
async def emulated(folder: Path) -> AsyncGenerator[tuple[CosmosPlace, Running]]:
    """Run an emulator for as long as the context lasts; its containers have three physical ranges from the start."""
    async with open_emulator(folder, splits=("15" + "0" * 30, "2A" + "0" * 30)) as running:
        yield CosmosPlace(Account(running.url, AnyToken(), small_containers(), make=True)), running

"""The stores that every contract test of this folder runs against."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from data import Store
from data.sqlite import open_store


class Place(Protocol):
    """Somewhere that data stays when the store is closed; may be open more than once, as by several processes."""

    def open(self) -> AbstractAsyncContextManager[Store]: ...


@dataclass(frozen=True)
class SqlitePlace:
    path: Path

    def open(self) -> AbstractAsyncContextManager[Store]:
        return open_store(self.path)


@pytest.fixture(params=["sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    places: dict[str, Place] = {"sqlite": SqlitePlace(tmp_path / "mandate.db")}
    return places[request.param]


@pytest.fixture
async def store(place: Place) -> AsyncGenerator[Store]:
    async with place.open() as opened:
        yield opened


@pytest.fixture
async def neighbour(place: Place, store: Store) -> AsyncGenerator[Store]:
    """Return a second store over the same data, as another process has it."""
    async with place.open() as opened:
        yield opened

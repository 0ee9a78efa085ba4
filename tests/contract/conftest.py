"""The stores that every contract test of this folder runs against."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from store_places import Place, SqlitePlace, emulated

from data import Store


@pytest.fixture(params=["sqlite", "cosmos"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    if request.param == "sqlite":
        yield SqlitePlace(tmp_path / "mandate.db")
        return
    async with emulated(tmp_path) as (cosmos, _):
        yield cosmos


@pytest.fixture
async def store(place: Place) -> AsyncGenerator[Store]:
    async with place.open() as opened:
        yield opened


@pytest.fixture
async def neighbour(place: Place, store: Store) -> AsyncGenerator[Store]:
    """Return a second store over the same data, as another process has it."""
    async with place.open() as opened:
        yield opened

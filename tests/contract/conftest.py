"""The stores that every contract test of this folder runs against."""

import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from store_places import Place, SqlitePlace, cosmos_place, leaks

from data import Store

_LEAKS: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def local() -> Generator[None]:
    """Say that this is a laptop: elsewhere no emulator starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANDATE_ENVIRONMENT", "local")
        yield


@pytest.fixture(params=["sqlite", "cosmos"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    if request.param == "sqlite":
        yield SqlitePlace(tmp_path / "mandate.db")
        return
    async with cosmos_place(tmp_path) as cosmos:
        if "MANDATE_COSMOS_ENDPOINT" in os.environ and not _LEAKS:
            async with cosmos_place(tmp_path) as probed:
                _LEAKS.append(await leaks(probed))
        if any(_LEAKS):
            pytest.skip(f"tool unfit: {_LEAKS[0]}")
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

"""One product with two tenants for all tests of this folder."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from seen_data import Matrix
from store_places import place_of
from two_tenants import Product, Tenant, beside, emulators, fill, product, share, write_root

from chosen_store import STORE
from data import Store

WORLD = "MANDATE_ISOLATION_WORLD"
"""Where emulators run already that can be shared: what `emulated_world` writes."""


@pytest.fixture
def matrix(tally: Matrix) -> Matrix:
    """What was attacked, and how often each attack was refused."""
    return tally


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Store]:
    """Give a store of the test's own, without a product."""
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with place_of(STORE, tmp_path) as place, place.open() as opened:
        yield opened


@pytest.fixture(scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[tuple[Product, list[Tenant]]]:
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("isolated")
    if given := os.environ.get(WORLD):
        async with beside(Path(given), folder) as found:
            yield found
        return
    write_root(root)
    async with emulators(folder, root) as stack, product(stack) as running:
        yield running, await fill(running)


@pytest.fixture
async def shared_world(served: Product, both: list[Tenant], tmp_path: Path) -> Path:
    """Return where other processes find the emulators that run now, and a copy of the data."""
    return await share(served, both, tmp_path / "world.json")


@pytest.fixture(scope="session")
def served(world: tuple[Product, list[Tenant]]) -> Product:
    return world[0]


@pytest.fixture(scope="session")
def both(world: tuple[Product, list[Tenant]]) -> list[Tenant]:
    return world[1]

"""One product with two tenants for all tests of this folder."""

from collections.abc import AsyncGenerator

import pytest
from two_tenants import Product, Tenant, emulators, fill, product, write_root


@pytest.fixture(scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("isolated")
    write_root(root)
    async with emulators(folder, root) as stack, product(stack) as running:
        yield running


@pytest.fixture(scope="session")
async def both(served: Product) -> list[Tenant]:
    return await fill(served)

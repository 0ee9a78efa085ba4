"""A product of its own for the tests of faults, with both demo companies in it."""

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from chosen_store import STORE
from mandate.local.stack import Stack, free_port
from seeded import seeded


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("faults"), free_port(), store=STORE)
    async with seeded(stack):
        yield stack


@pytest.fixture(scope="session")
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session

"""A product of its own for the tests of faults, with both demo companies in it."""

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from chosen_store import STORE
from mandate.local.seeding import seed
from mandate.local.stack import Stack, free_port, running
from mandate.local.world import load_companies
from mandate.services import Services
from mandate.settings import ROOT


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("faults"), free_port(), store=STORE)
    async with running(stack):
        await seed(stack, Services.load(ROOT / "environments"), load_companies(ROOT), lambda name, done, total: None)
        yield stack


@pytest.fixture(scope="session")
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session

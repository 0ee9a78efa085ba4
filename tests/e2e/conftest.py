"""One running product for all end-to-end tests, with both demo companies in it."""

from collections.abc import AsyncGenerator

import aiohttp
import pytest
from commands import SignIn

from mandate.client import Client
from mandate.local.seeding import seed
from mandate.local.stack import Stack, free_port, running
from mandate.local.world import load_companies
from mandate.people import sign_in
from mandate.services import Services
from mandate.settings import ROOT


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    """The product as `mandate up` runs it, in a folder and on ports of its own."""
    stack = Stack(tmp_path_factory.mktemp("product"), free_port())
    async with running(stack):
        await seed(stack, Services.load(ROOT / "environments"), load_companies(ROOT), lambda name, done, total: None)
        yield stack


@pytest.fixture(scope="session")
async def session(stack: Stack) -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="session")
def client(stack: Stack, session: aiohttp.ClientSession) -> SignIn:
    """Sign somebody in by their user name."""

    async def signed_in(username: str) -> Client:
        return await sign_in(session, stack.url, username)

    return signed_in

"""One running product for all end-to-end tests, with both demo companies in it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from browsing import Console, choose, chromium, strict
from commands import SignIn
from playwright.async_api import Browser, BrowserContext, Page

from mandate.client import Client
from mandate.local.stack import Stack, free_port
from mandate.people import sign_in
from npm_packages import installed
from seeded import seeded


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    """The product as `mandate up` runs it, in a folder and on ports of its own."""
    stack = Stack(tmp_path_factory.mktemp("product"), free_port())
    async with seeded(stack):
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


@pytest.fixture(scope="session")
async def node_folder(pytestconfig: pytest.Config) -> Path:
    """A folder with the packages of `tests/e2e/node` in it."""
    return await installed(pytestconfig, Path(__file__).with_name("node"))


@pytest.fixture(scope="session")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def console(stack: Stack, browser: Browser) -> AsyncGenerator[Console]:
    """Sign somebody in to the console, in a browser of their own: `await console(username, path="/agents")`."""
    opened: list[BrowserContext] = []

    async def signed_in(username: str, path: str = "/", **options: Any) -> Page:
        context = await browser.new_context(base_url=stack.url, **options)
        opened.append(context)
        page = strict(await context.new_page())
        await page.goto(path)
        await choose(page, username)
        await page.wait_for_url(f"{stack.url}{path}")
        return page

    yield signed_in
    for context in opened:
        await context.close()

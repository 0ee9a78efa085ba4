"""A real browser: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from mandate.people import company_of

Console = Callable[..., Awaitable[Page]]
"""Return a page that somebody is signed in on: `await console("mia@...", color_scheme="dark")`."""


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("tool missing: chromium")
    async with async_playwright() as playwright:
        # Its sandbox does not work for root, as whom a container runs.
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


def strict(page: Page) -> Page:
    """Fail the test that uses `page` on an error in a script, and on whatever its content security policy stops."""
    page.on("pageerror", _fail)
    page.on("console", lambda message: _fail(message.text) if "Content Security Policy" in message.text else None)
    return page


def _fail(error: Any) -> None:
    raise AssertionError(f"the page reports: {error}")


async def choose(page: Page, username: str) -> None:
    """Choose somebody on the identity provider's page."""
    company_of(username)  # says who there is, if nobody has this name
    await page.click(f'button[value="{username}"]')

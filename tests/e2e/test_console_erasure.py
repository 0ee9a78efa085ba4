"""The owner erases the whole organisation in the console, in a product of its own: the others go on using theirs."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest
from browsing import choose, strict
from playwright.async_api import Browser, Page, expect

from mandate.local.seeding import seed
from mandate.local.stack import Stack, free_port, running
from mandate.local.world import load_companies
from mandate.people import sign_in
from mandate.services import Services
from mandate.settings import ROOT

INGRID, HELENE, NAME = "ingrid@quillmere.example", "helene@quillmere.example", "Quillmere Instruments"
FORM = 'form[action="/data/organisation"]'

pytestmark = pytest.mark.timeout(300)


async def seeded(stack: Stack) -> list[str]:
    """Set up the company as `mandate up` does at each start; return whom that told of."""
    told: list[str] = []
    companies = [company for company in load_companies(ROOT) if company.about.slug == "quillmere"]
    await seed(stack, Services.load(ROOT / "environments"), companies, lambda name, done, total: told.append(name))
    return told


@pytest.fixture
async def its_own(tmp_path: Path) -> AsyncGenerator[Stack]:
    stack = Stack(tmp_path, free_port())
    async with running(stack):
        assert await seeded(stack)
        yield stack


async def opened(browser: Browser, stack: Stack, username: str, *, script: bool) -> Page:
    context = await browser.new_context(base_url=stack.url, java_script_enabled=script)
    page = strict(await context.new_page())
    await page.goto("/data")
    await choose(page, username)
    await page.wait_for_url(f"{stack.url}/data")
    return page


async def asked(page: Page, typed: str) -> None:
    await page.goto("/data")
    await page.click("summary:has-text('Erase the organisation')")
    await page.select_option("#erase-tenant-reason", "moved")
    await page.fill("#erase-tenant-confirm", typed)
    await page.click(f"{FORM} button[type=submit]")


async def held(page: Page) -> None:
    await page.click("summary:has-text('Set a hold')")
    await page.select_option("#scope", "tenant")
    await page.fill("#reason", "A dispute")
    await page.click('form[action="/data/holds"] button[type=submit]')


async def test_the_owner_erases_the_organisation_and_takes_the_receipt(its_own: Stack, browser: Browser) -> None:
    auditor = await opened(browser, its_own, HELENE, script=True)
    assert await auditor.locator(FORM).count() == 0
    page = await opened(browser, its_own, INGRID, script=False)
    await asked(page, "Quillmere")
    await expect(page.locator("main")).to_contain_text("not the name")
    await page.goto("/data")
    await held(page)
    await asked(page, NAME)
    await expect(page.locator("main")).to_contain_text("The legal hold hld_")
    await page.goto("/data")
    await page.click("#holds button:has-text('Release')")
    await forged(page, its_own)
    await asked(page, NAME)
    await expect(page.locator("h1")).to_have_text("The organisation is erased", timeout=30_000)
    for said in ("era_", "We have moved elsewhere", "knowledge"):
        await expect(page.locator("main")).to_contain_text(said)
    await pictures(page)
    assert NAME not in await page.content()
    await page.goto("/data")
    assert "/data" not in page.url.removeprefix(its_own.url)[:5]
    async with aiohttp.ClientSession() as session:
        ingrid = await sign_in(session, its_own.url, INGRID)
        # For some seconds a process may still know the organisation; then it is the store that refuses.
        assert (await ingrid.ask("GET", "/v1/data/inventory")).status in (403, 409)
    assert await seeded(its_own) == []


async def forged(page: Page, stack: Stack) -> None:
    """Send the form as another site would: with the session's cookie, without what stands in our page."""
    fields = {"confirm": NAME, "reason": "moved", "csrf": "guessed"}
    answer = await page.request.post(f"{stack.url}/data/organisation", form=dict(fields))
    assert answer.status == 403


async def pictures(page: Page) -> None:
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.locator("main").evaluate("main => main.ownerDocument.documentElement.scrollWidth") <= 320
    if folder := os.environ.get("MANDATE_PICTURES"):
        await page.screenshot(path=Path(folder) / "erased-320.png", full_page=True)
        await page.set_viewport_size({"width": 1280, "height": 800})
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await page.screenshot(path=Path(folder) / f"erased-{scheme}.png", full_page=True)

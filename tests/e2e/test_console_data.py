"""The data page in a real browser: what is kept; a hold stands in an erasure's way until it is released."""

import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from browsing import Console
from playwright.async_api import Page, expect

from core import Json
from mandate.client import Client
from mandate.local.stack import Stack
from mandate.people import sign_in

MIA, GRETA, SANDER = "mia@alderfinch.example", "greta@alderfinch.example", "sander@alderfinch.example"


async def told(person: Client, path: str) -> dict[str, Any]:
    return await person.get(path)


async def brought(stack: Stack, session: aiohttp.ClientSession) -> tuple[str, str]:
    """Bring a document that no other test misses once it is erased; return its id and title."""
    mia, title = await sign_in(session, stack.url, MIA), "Complaints of the lighthouse keeper"
    body: Json = {"collection": "policies", "title": title, "text": "The lamp is too bright."}
    document: dict[str, Any] = await mia.post("/v1/documents", body)
    return document["document"], title


async def erase(page: Page, document: str, typed: str) -> None:
    await page.goto("/data")
    await page.click("text=Erase a document")
    await page.fill("#erase-document", document)
    await page.fill("#erase-document-confirm", typed)
    await page.click('form[action="/data/documents"] button[type=submit]')


async def test_a_hold_stands_in_the_way_of_an_erasure_until_it_is_released(
    stack: Stack, session: aiohttp.ClientSession, console: Console
) -> None:
    document, title = await brought(stack, session)
    page = await console(MIA, "/data")
    await page.click("summary:has-text('Set a hold')")
    await page.select_option("#scope", "document")
    await page.fill("#target", document)
    await page.fill("#reason", "Dispute <b>A-20398</b>")
    await page.click('form[action="/data/holds"] button[type=submit]')
    await expect(page.locator("#holds")).to_contain_text("Dispute <b>A-20398</b>")
    if folder := os.environ.get("MANDATE_PICTURES"):
        await pictures(page, Path(folder))
    await erase(page, document, title)
    await expect(page.locator("main")).to_contain_text("The legal hold hld_")
    await page.goto("/data")
    await page.click("#holds button:has-text('Release')")
    await expect(page.locator("#holds")).to_contain_text("Nothing is held.")
    await erase(page, document, "something else")
    await expect(page.locator("main")).to_contain_text("not the title")
    await erase(page, document, title)
    await expect(page.locator("#erasures")).to_contain_text("Done")


async def pictures(page: Page, folder: Path) -> None:
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.screenshot(path=folder / f"data-{scheme}.png", full_page=True)
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    await page.screenshot(path=folder / "data-320.png", full_page=True)
    await page.set_viewport_size({"width": 1280, "height": 800})


async def test_an_auditor_reads_and_changes_nothing(console: Console) -> None:
    page = await console(GRETA, "/data")
    await expect(page.locator("#content")).to_contain_text("1825 days")
    assert await page.locator("main form").count() == 0


@pytest.mark.parametrize("path", ["/v1/data/inventory", "/v1/data/holds"])
async def test_a_member_sees_neither(stack: Stack, session: aiohttp.ClientSession, path: str) -> None:
    sander = await sign_in(session, stack.url, SANDER)
    assert (await sander.ask("GET", path)).status == 403


async def test_the_inventory_is_a_table_too(stack: Stack, session: aiohttp.ClientSession) -> None:
    mia = await sign_in(session, stack.url, MIA)
    inventory = await told(mia, "/v1/data/inventory")
    documents = next(line for line in inventory["items"] if line["kind"] == "document" and line["store"] == "content")
    assert documents["items"] > 0
    assert documents["oldest"]
    assert documents["retention_days"] == 1825
    assert {store["store"] for store in inventory["stores"]} >= {"log", "content", "telemetry"}


async def test_a_collection_keeps_its_retention_when_its_other_settings_change(
    stack: Stack, session: aiohttp.ClientSession, console: Console
) -> None:
    mia = await sign_in(session, stack.url, MIA)
    settings = {"title": "Memos", "purpose": "What is soon out of date", "retention_days": 30}
    assert (await mia.ask("PUT", "/v1/collections/memos", settings)).status == 201
    page = await console(MIA, "/knowledge/collections/memos/settings")
    await page.fill("#title", "Short memos")
    await page.click("main button[type=submit]")
    await page.wait_for_url("**/knowledge/collections/memos")
    found = {item["collection"]: item for item in (await told(mia, "/v1/collections"))["items"]}["memos"]
    assert (found["title"], found["retention_days"]) == ("Short memos", 30)

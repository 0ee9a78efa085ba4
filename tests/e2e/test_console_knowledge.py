"""Knowledge and usage in a real browser: documents are brought, found, used and erased; runs are counted."""

import asyncio
import csv
import io
import re
from pathlib import Path

import aiohttp
from browsing import Console
from playwright.async_api import Page, expect

from mandate.local.stack import Stack

MIA, ELIF, DARIO = "mia@alderfinch.example", "elif@alderfinch.example", "dario@quillmere.example"
HOSTILE_NAME = "<img src=x onerror=alert(1)>.md"
WORDS = "Marmot lanterns are serviced every nineteen months by the glass workshop in Deventer."


def a_pdf(text: str) -> bytes:
    """Return a PDF of one page that says `text`."""
    stream = f"BT /F1 12 Tf 40 700 Td ({text}) Tj ET".encode()
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", list[int]()
    for number, body in enumerate(bodies, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(bodies) + 1, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1) + table + end


async def make_collection(page: Page, name: str, *groups: str) -> None:
    await page.goto("/knowledge/new")
    await page.fill("#title", f"Collection {name}")
    await page.fill("#collection", name)
    await page.fill("#purpose", "What the workshop knows <b>by heart</b>")
    for group in groups:
        await page.check(f'input[value="{group}"]')
    await page.click("main button[type=submit]")
    await page.wait_for_url(f"**/knowledge/collections/{name}")


async def drop(page: Page, name: str, data: bytes, media_type: str) -> None:
    """Drop a file as a person does with the mouse."""
    transfer = await page.evaluate_handle(
        "([name, bytes, type]) => { const held = new DataTransfer();"
        " held.items.add(new File([new Uint8Array(bytes)], name, { type })); return held; }",
        [name, list(data), media_type],
    )
    await page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})


async def until_used(page: Page) -> None:
    """Reload until the view of uses has come up with the log."""
    async with asyncio.timeout(10):
        while not await page.locator("#uses tbody tr").count():
            await asyncio.sleep(0.2)
            await page.reload()


async def test_an_admin_brings_finds_and_erases_a_document_that_only_its_readers_see(console: Console) -> None:
    page = await console(MIA)
    await make_collection(page, "workshop", "office")
    assert "<b>by heart</b>" in await page.inner_text("main")
    await drop(page, "lantern-care.pdf", a_pdf(WORDS), "application/pdf")
    await expect(page.locator(".uploads li.good")).to_have_count(1, timeout=20_000)
    await drop(page, "broken.pdf", b"%PDF-1.4 and nothing of the kind", "application/pdf")
    await expect(page.locator(".uploads li.bad")).to_have_count(1, timeout=20_000)
    assert len(await page.locator(".uploads li.bad .under").inner_text()) > 10
    await expect(page.locator("#documents tbody tr")).to_have_count(1)

    await page.goto("/knowledge/search?collection=workshop")
    await page.fill("#text", "lanterns nineteen months")
    await page.click("main button[type=submit]")
    assert "lantern" not in page.url
    found = page.locator("article").first
    await expect(found).to_contain_text("Deventer")
    await expect(found.locator(".bars")).to_contain_text(re.compile(r"rank 1.*similarity", re.DOTALL))
    await expect(found.locator(".bars")).to_contain_text("nineteen")

    await found.locator("h3 a").click()
    assert "#passage-0" in page.url
    document = page.url.partition("?")[0]
    await expect(page.locator("#passage-0")).to_contain_text("Deventer")
    await expect(page.locator("main")).to_contain_text("It stays in the organisation")
    await until_used(page)
    await expect(page.locator("#uses tbody tr")).to_contain_text("A search that was tried")

    for other in (ELIF, DARIO):
        theirs = await console(other)
        response = await theirs.goto(document)
        assert response is not None
        assert response.status == 404
        assert "There is nothing here" in await theirs.inner_text("h1")
        assert (await theirs.goto("/knowledge/collections/workshop")).status == 404  # type: ignore[union-attr]

    await page.click("text='Index again'")
    await expect(page.locator("dt:text-is('Times indexed') + dd")).to_have_text("2")
    await expect(page.locator("[data-follows]")).to_have_count(0, timeout=20_000)
    await page.click("text='Erase'")
    await expect(page.locator("main")).to_contain_text("Nobody can bring it back")
    await page.click("text='Erase for good'")
    await expect(page.locator("main")).to_contain_text("The document was erased")
    assert (await page.goto(document)).status == 404  # type: ignore[union-attr]


async def test_hostile_names_and_texts_are_text_and_files_can_be_brought_without_a_script(console: Console) -> None:
    page = await console(MIA)
    await make_collection(page, "attic")
    plain = await page.context.browser.new_context(  # type: ignore[union-attr]
        java_script_enabled=False, storage_state=await page.context.storage_state()
    )
    form = await plain.new_page()
    await form.goto(page.url)
    text = b"# A note\n\n<script>alert(1)</script> [click](javascript:alert(1)) ![x](https://evil.example/x.png)"
    await form.set_input_files(
        "#upload-files",
        [
            {"name": HOSTILE_NAME, "mimeType": "text/markdown", "buffer": text},
            {"name": "empty.md", "mimeType": "text/markdown", "buffer": b""},
        ],
    )
    await form.click("text='Bring them'")
    await expect(form.locator(".uploads li.good")).to_contain_text(HOSTILE_NAME)
    await expect(form.locator(".uploads li.bad")).to_contain_text("The file is empty")
    await form.click(".uploads a")
    await form.wait_for_url("**/knowledge/documents/*")
    await plain.close()
    await page.reload()
    await page.click("#documents tbody a")
    await expect(page.locator(".prose").first).to_contain_text("<script>alert(1)</script>")
    assert await page.locator(".prose script, .prose img, a[href^=javascript]").count() == 0


async def test_a_form_with_files_from_another_site_changes_nothing(console: Console, stack: Stack) -> None:
    page = await console(MIA)
    cookies = {str(cookie.get("name")): str(cookie.get("value")) for cookie in await page.context.cookies()}
    form = aiohttp.FormData({"collection": "policies", "csrf": "guessed"})
    form.add_field("file", b"# Planted", filename="planted.md", content_type="text/markdown")
    async with (
        aiohttp.ClientSession(cookies=cookies) as session,
        session.post(f"{stack.url}/knowledge/upload", data=form, headers={"Accept": "text/html"}) as response,
    ):
        assert response.status == 403
        assert "identity.csrf" in await response.text()


async def test_a_form_that_lacks_something_says_what_and_keeps_what_was_typed(console: Console) -> None:
    page = await console(MIA, "/knowledge/new")
    await page.fill("#title", "Half a collection")
    await page.fill("#collection", "policies")
    await page.fill("#purpose", "x")
    await page.keyboard.press("Enter")
    await expect(page.locator(".error")).to_contain_text("short name already")
    assert await page.input_value("#title") == "Half a collection"


async def test_usage_counts_runs_and_the_table_as_csv_adds_up_to_the_page(console: Console) -> None:
    page = await console(MIA, "/usage")
    shown = page.locator(".figures dd").first
    total = int((await shown.inner_text()).replace(",", ""))
    assert total > 0
    await expect(page.locator(".chart svg[role=img]")).to_have_count(3)
    for by in ("Agent", "User", "State", "Day"):
        await page.click(f".tabs >> text='{by}'")
    await page.click(".tabs >> text='User'")
    await expect(page.locator("tbody")).to_contain_text("Mia Verhoeven")
    async with page.expect_download() as begun:
        await page.click("text='Save as CSV'")
    path = await (await begun.value).path()
    rows = list(csv.DictReader(io.StringIO(await asyncio.to_thread(Path(path).read_text))))
    foot = await page.locator("tfoot td.amount").all_inner_texts()
    assert [sum(int(row[name]) for row in rows) for name in ("runs", "input_tokens", "output_tokens")] == [
        int(amount.replace(",", "")) for amount in foot[:3]
    ]
    own = await console(ELIF, "/usage")
    await expect(own.locator("main")).to_contain_text("What you used yourself")
    assert await own.locator(".tabs >> text='User'").count() == 0


async def test_every_page_fits_and_has_one_heading(console: Console) -> None:
    page = await console(MIA)
    await page.set_viewport_size({"width": 320, "height": 640})
    for path in (
        "/knowledge",
        "/knowledge/collections/policies",
        "/knowledge/new",
        "/knowledge/search",
        "/usage?by=model",
    ):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320, path
        assert await page.locator("h1").count() == 1
        assert await page.locator("[style], [onclick], script:not([src]), style").count() == 0

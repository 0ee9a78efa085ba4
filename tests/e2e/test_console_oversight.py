"""Approvals and runs in a real browser: who asks, who decides and who looks, each on their pages."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass

import pytest
from browsing import Console
from commands import SignIn
from playwright.async_api import Page, expect

from mandate.api import Run
from mandate.local.stack import Stack

SANDER, NOOR, JONAS = "sander@alderfinch.example", "noor@alderfinch.example", "jonas@alderfinch.example"
MIA = "mia@alderfinch.example"
GRETA, PAVEL = "greta@alderfinch.example", "pavel@quillmere.example"
MAX_PAGE = 150_000
HOSTILE = "<img src=x onerror=alert(1)>"
ORDER = "A-20398"


@dataclass(frozen=True)
class Asked:
    """A refund that somebody asked for and that waits."""

    run: str
    approval: str


async def ask_refund(client: SignIn, because: str = "the parcel came ten days late", *, by: str = SANDER) -> Asked:
    message = f"Please refund 4.90 EUR for order {ORDER} because {because}."
    run = Run.model_validate(await (await client(by)).post("/v1/runs", {"agent": "support", "message": message}))
    assert run.pending_approval is not None, run.state
    return Asked(run.run, run.pending_approval.approval)


async def decide(client: SignIn, asked: Asked, verdict: str, *, by: str = JONAS) -> None:
    body = {"verdict": verdict, "reason": "The carrier confirms it."}
    await (await client(by)).post(f"/v1/approvals/{asked.approval}/decision", body)


async def ended(client: SignIn, asked: Asked) -> None:
    """Wait until the list of runs knows that the run has completed."""
    sander = await client(SANDER)
    async with asyncio.timeout(15):
        while asked.run not in str(await sander.get("/v1/runs?state=completed&limit=5")):  # noqa: ASYNC110 - another process's list
            await asyncio.sleep(0.1)


async def says(page: Page, text: str) -> None:
    """Wait until the page says something, without loading it again."""
    await expect(page.locator("main")).to_contain_text(text, timeout=15_000)


async def test_a_refund_arrives_is_decided_with_a_reason_and_is_done_before_the_eyes_of_all(
    console: Console, client: SignIn
) -> None:
    inbox = await console(NOOR, "/approvals")
    asked = await ask_refund(client)
    await expect(inbox.locator(f"#news:visible, [id='{asked.approval}']").first).to_be_visible(timeout=15_000)
    if await inbox.is_visible("#news"):
        await inbox.click("#news")
    line = inbox.locator(f"[id='{asked.approval}']")
    await expect(line).to_contain_text("For Sander Claes")
    asker = await console(SANDER, f"/runs/{asked.run}")
    await says(asker, "It waits for a person.")

    await line.locator("a").click()
    for told in (
        "Pays 4.90",
        "in another spelling",
        "Moving money always needs",
        "agent cannot undo it",
        "Letter from",
    ):
        await says(inbox, told)
    await inbox.check("input[value=approved]")
    await inbox.click("text='Decide'")
    assert await inbox.locator("textarea:invalid").count() == 1
    await inbox.fill("textarea", "The carrier says so.")
    await inbox.click("text='Decide'")
    await says(inbox, "Confirm that you know that the agent cannot undo this")
    assert await inbox.input_value("textarea") == "The carrier says so."
    await inbox.check("input[name=confirm]")
    await inbox.click("text='Decide'")
    await says(inbox, "Noor Haddad approved it on")
    await says(inbox, "The run completed")

    await says(asker, "Issue refund")
    await asker.click("text='Timeline'")
    await says(asker, "A person approved: Noor Haddad")
    await asker.goto(f"/approvals/{asked.approval}")
    await says(asker, "The carrier says so.")


async def test_without_script_a_form_shows_what_is_wrong_where_it_is_and_then_denies(
    console: Console, client: SignIn
) -> None:
    asked = await ask_refund(client)
    page = await console(JONAS, f"/approvals/{asked.approval}", java_script_enabled=False)
    csrf = await page.locator("form.decision input[name=csrf]").get_attribute("value") or ""
    answer = await page.context.request.post(
        f"/approvals/{asked.approval}", form={"csrf": csrf, "reason": "x", "verdict": "maybe"}
    )
    text = await answer.text()
    assert (answer.status, 'id="verdict-error"' in text, 'id="reason-error"' in text) == (422, True, True)
    await page.check("input[value=denied]")
    await page.fill("textarea", "The order was never late.")
    await page.click("text='Decide'")
    await says(page, "Jonas Brandt denied it on")
    await says(page, "The order was never late.")


async def test_what_a_colleague_decides_meanwhile_is_seen_and_cannot_be_decided_again(
    console: Console, client: SignIn
) -> None:
    asked = await ask_refund(client)
    live = await console(NOOR, f"/approvals/{asked.approval}")
    still = await console(NOOR, f"/approvals/{asked.approval}", java_script_enabled=False)
    await decide(client, asked, "denied")
    await says(live, "Jonas Brandt denied it on")
    await still.check("input[value=denied]")
    await still.fill("textarea", "I would have said no too.")
    await still.click("text='Decide'")
    await says(still, "It was decided meanwhile.")
    await says(still, "Jonas Brandt denied it on")
    assert "I would have said no too." not in await still.inner_text("main")


async def test_who_asked_may_not_decide_and_reads_why(console: Console, client: SignIn) -> None:
    asked = await ask_refund(client, by=NOOR)
    page = await console(NOOR, f"/approvals/{asked.approval}")
    await says(page, "You asked for this yourself; a colleague must decide it.")
    assert await page.locator("form.decision").count() == 0
    await decide(client, asked, "denied")


async def test_the_auditor_reads_verifies_and_exports_and_decides_nothing(console: Console, client: SignIn) -> None:
    asked = await ask_refund(client)
    page = await console(GRETA, "/runs")
    await page.goto(f"/runs/{asked.run}/timeline#event-7")
    await says(page, "Left to a person: call the tool issue_refund")
    await expect(page.locator("#event-7 details")).to_have_attribute("open", "")
    await page.click("text=Decisions")
    assert await page.locator(".timeline > li").count() == await page.locator("li.kind-decision").count() > 0
    before = await page.inner_text("#chain")
    await page.click("text='Verify again'")
    await expect(page.locator("#chain")).to_contain_text("events hold.")
    assert await page.evaluate("document.activeElement.textContent") == "Verify again"
    async with page.expect_download() as download:
        await page.click("text='Export as JSON lines'")
    lines = (await (await download.value).path()).read_text().splitlines()
    head = json.loads(lines[0])
    assert len(lines) == head["events"] + 1
    assert head["head"][:16] in before
    await page.goto(f"/approvals/{asked.approval}")
    await says(page, "Only an approver or the owner of your organisation may decide this")
    csrf = await page.locator('meta[name="csrf"]').get_attribute("content") or ""
    answer = await page.context.request.post(
        f"/approvals/{asked.approval}",
        form={"csrf": csrf, "verdict": "denied", "reason": "I am the auditor."},
        headers={"Accept": "text/html"},
    )
    assert (answer.status, "This page needs another role" in await answer.text()) == (403, True)
    await decide(client, asked, "denied")


async def test_another_companys_approvals_and_runs_are_not_there(console: Console, client: SignIn) -> None:
    asked = await ask_refund(client)
    page = await console(PAVEL, "/approvals?view=all")
    assert asked.approval not in await page.content()
    for path in (
        f"/approvals/{asked.approval}",
        *(f"/runs/{asked.run}{view}" for view in ("", "/timeline", "/waterfall")),
    ):
        answer = await page.goto(path)
        assert answer is not None
        assert (answer.status, await page.inner_text("h1")) == (404, "There is nothing here")
    await decide(client, asked, "denied")


async def test_hostile_words_are_words_on_every_page(console: Console, client: SignIn) -> None:
    asked = await ask_refund(client, f'"{HOSTILE}"')
    page = await console(NOOR, "/approvals")
    for path in ("/approvals", f"/approvals/{asked.approval}", f"/runs/{asked.run}", f"/runs/{asked.run}/timeline"):
        await page.goto(path)
        assert HOSTILE in (await page.locator("main").text_content() or "")
        assert await page.locator("main img").count() == 0
    await decide(client, asked, "denied")


async def test_a_run_is_listed_filtered_and_its_time_is_drawn(console: Console, client: SignIn) -> None:
    asked = await ask_refund(client)
    await decide(client, asked, "approved")
    await ended(client, asked)
    page = await console(GRETA, "/runs?kind=turn&state=completed")
    row = page.locator(f"tr:has(a[href='/runs/{asked.run}'])")
    await expect(row).to_contain_text("Sander Claes")
    assert await page.locator("tbody >> text=Document taken in").count() == 0
    await row.locator("a").click()
    await page.click("text='Waterfall'")
    rows = page.locator(".waterfall tbody tr")
    assert await rows.count() > 5
    for told in ("Waiting for a person", "Search knowledge", "Tool issue_refund"):
        await expect(page.locator(".waterfall")).to_contain_text(told)
    for bar in await page.locator(".waterfall svg rect:nth-child(2)").all():
        x, width = [float((await bar.get_attribute(name) or "").strip("%")) for name in ("x", "width")]
        assert 0 <= x <= x + width <= 100.01
    assert (await page.goto("/runs?state=nonsense")) is not None
    await says(page, "Something is not as it should be")


def swap(stack: Stack, run: str, old: str, new: str) -> None:
    """Change a run's second event behind the product's back."""
    with closing(sqlite3.connect(stack.folder / "mandate.db", timeout=10)) as db, db:
        change = "UPDATE events SET data = CAST(replace(data, ?, ?) AS BLOB) WHERE run = ? AND seq = 2"
        assert db.execute(change, (old, new, run)).rowcount == 1


async def test_a_run_whose_log_was_changed_is_not_shown_but_named_as_broken(
    console: Console, client: SignIn, stack: Stack
) -> None:
    asked = await ask_refund(client)
    await decide(client, asked, "denied")
    await ended(client, asked)
    page = await console(GRETA, "/runs")
    swap(stack, asked.run, "automatic", "approval ")
    try:
        await page.goto(f"/runs/{asked.run}/timeline")
        await says(page, "This run cannot be believed")
        await says(page, "Event 2 does not: its bytes are not those that its hash was made of.")
        assert await page.locator(".timeline").count() == 0
    finally:
        swap(stack, asked.run, "approval ", "automatic")
    await page.reload()
    await says(page, "events hold.")


async def test_an_owner_says_what_was_done_about_a_flag(console: Console, client: SignIn) -> None:
    sander = await client(SANDER)
    run = (await sander.post("/v1/runs", {"agent": "support", "message": "How long is the warranty?"}))["run"]
    await sander.post(f"/v1/runs/{run}/flags", {"kind": "wrong", "reason": "It is two years."})
    page = await console(MIA, f"/runs/{run}")
    await says(page, "It is two years.")
    await page.get_by_label("What was done about it").fill("The page is corrected.")
    await page.click("text=Close the flag")
    await says(page, "The page is corrected.")
    assert await page.get_by_label("What was done about it").count() == 0
    reader = await console(SANDER, f"/runs/{run}")
    await says(reader, "Dealt with")


async def test_the_keyboard_alone_is_enough_to_decide(console: Console, client: SignIn) -> None:
    asked = await ask_refund(client)
    page = await console(NOOR, f"/approvals/{asked.approval}")
    await page.focus("text='Go to the decision'")
    await page.keyboard.press("Enter")
    for key in ("Tab", "ArrowDown", "Tab"):
        await page.keyboard.press(key)
    assert await page.is_checked("input[value=denied]")
    await page.keyboard.type("It was on time.")
    for key in ("Tab", "Tab", "Enter"):
        await page.keyboard.press(key)
    await says(page, "Noor Haddad denied it on")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_pages_of_oversight_fit_are_small_and_hold_no_style_of_their_own(
    console: Console, client: SignIn, theme: str
) -> None:
    asked = await ask_refund(client)
    page = await console(NOOR, "/approvals", color_scheme=theme, viewport={"width": 320, "height": 640})
    views = [f"/runs/{asked.run}{view}" for view in ("", "/timeline", "/waterfall")]
    for path in ("/approvals", "/approvals?view=decided", f"/approvals/{asked.approval}", "/runs", *views):
        for width in (320, 768, 1280):
            await page.set_viewport_size({"width": width, "height": 640})
            await page.goto(path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        size = await page.evaluate("performance.getEntries().reduce((sum, e) => sum + (e.decodedBodySize ?? 0), 0)")
        assert 0 < size < MAX_PAGE, path
        assert await page.locator("h1").count() == 1, path
        assert await page.locator("[style], [onclick], script:not([src]), style").count() == 0, path
    await decide(client, asked, "denied")
